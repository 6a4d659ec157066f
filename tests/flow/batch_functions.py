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
