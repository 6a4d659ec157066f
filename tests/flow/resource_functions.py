"""Custom resources that tests start in processes of their own."""

import asyncio
import builtins
import os
import sys
import time

from fastlambda.custom_resource import CustomResourceRunner, Resource, ResourceRequest


def fail(phase: str) -> None:
    """Raises what FAIL says for this phase: `phase=ExceptionName`."""
    wanted, _, name = os.environ.get("FAIL", "").partition("=")
    if wanted == phase:
        raise {**vars(builtins), "CancelledError": asyncio.CancelledError}[name]("as asked")


fail("import")


class Thing(CustomResourceRunner[str, dict[str, str]]):
    def setup(self, region: str | None) -> str:
        fail("setup")
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
            await asyncio.sleep(60)
        return super().create(shared, request)


class Unmade(Thing):
    def __init__(self) -> None:
        fail("construct")
        super().__init__()
