"""Batch Runners that tests start in processes of their own."""

import os
from pathlib import Path

from fastlambda.batch import BatchRecord, BatchRunner


class Once(BatchRunner[Path, dict[str, object]]):
    """Writes what it handles to a file; a body with "fail": N fails the first N times."""

    def setup(self, region: str | None) -> Path:
        return Path(os.environ["HANDLED"])

    def run_record(self, shared: Path, record: BatchRecord[dict[str, object]]) -> None:
        fails, count = int(str(record.data.get("fail", 0))), int(record.raw["attributes"]["ApproximateReceiveCount"])
        if count <= fails:
            raise ValueError("not this time")
        with shared.open("a") as file:
            file.write(f"{record.data['name']}\n")


class OnceAsync(Once):
    concurrency = 4

    async def run_record(self, shared: Path, record: BatchRecord[dict[str, object]]) -> None:  # type: ignore[override]
        super().run_record(shared, record)


class Slow(BatchRunner[None, str]):
    """Hangs at a record "hang"."""

    def run_record(self, shared: None, record: BatchRecord[str]) -> None:
        if record.data == "hang":
            import time

            time.sleep(60)


class SlowAsync(BatchRunner[None, str]):
    concurrency = 2

    async def run_record(self, shared: None, record: BatchRecord[str]) -> None:
        import asyncio
        import time

        if record.data == "hang":
            await asyncio.sleep(60)
        if record.data == "block":
            await asyncio.sleep(0)
            time.sleep(60)


class Leaves(SlowAsync):
    """Cancels the task in which exec_async runs, as somebody outside would."""

    async def run_record(self, shared: None, record: BatchRecord[str]) -> None:
        import asyncio

        if record.data == "leave":
            for task in asyncio.all_tasks():
                if task.get_name() == "main":
                    task.cancel()
            await asyncio.sleep(60)


def inside_a_loop() -> None:
    """Runs the Runner that RUNNER names in an event loop of its own, and tells how that ended."""
    import asyncio
    import sys

    import fastlambda

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.set_name("main")
        await fastlambda.exec_async(globals()[os.environ["RUNNER"]])

    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        sys.exit(7)


if __name__ == "__main__":
    inside_a_loop()
