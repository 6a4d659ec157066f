"""Custom resources that tests start in processes of their own."""

import os
import sys
import time

from fastlambda.custom_resource import CustomResourceRunner, Resource, ResourceRequest

if os.environ.get("FAIL") == "import":
    raise ImportError("as asked")


class Thing(CustomResourceRunner[str, dict[str, str]]):
    def setup(self, region: str | None) -> str:
        if os.environ.get("FAIL") == "setup":
            raise ConnectionError("no database")
        return "shared"

    def create(self, shared: str, request: ResourceRequest[dict[str, str]]) -> Resource:
        match request.properties.get("Do"):
            case "raise":
                raise ValueError("as asked")
            case "exit":
                sys.exit(3)
            case "hang":
                time.sleep(60)
            case "eat":
                kept = []
                while True:
                    kept.append(b"x" * (1 << 20))
                    time.sleep(0.005)
        return Resource("thing-1", {"Shared": shared})


class AsyncThing(Thing):
    async def create(self, shared: str, request: ResourceRequest[dict[str, str]]) -> Resource:  # type: ignore[override]
        if request.properties.get("Do") == "hang":
            import asyncio

            await asyncio.sleep(60)
        return super().create(shared, request)
