"""Prints what differs: `python -m differential [BATCH ...]`, from the tests directory; for work on the list."""

import fnmatch
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .batches import BATCHES
from .compare import APPS, AWS, OURS, differences, observe


def main(patterns):
    with tempfile.TemporaryDirectory() as home:
        task = Path(home) / "task"
        shutil.copytree(APPS, task, ignore=shutil.ignore_patterns("__pycache__"))
        (task / "app_syntax.py.txt").rename(task / "app_syntax.py")
        for batch in BATCHES:
            if not any(fnmatch.fnmatchcase(batch.name, pattern) for pattern in patterns):
                continue
            logs = Path(home) / "logs" / batch.name
            logs.mkdir(parents=True)
            started = time.monotonic()
            with ThreadPoolExecutor(2) as pool:
                aws, ours = pool.map(lambda client: observe(client, batch, task, logs), (AWS, OURS))  # noqa: B023
            print(f"== {batch.name} ({time.monotonic() - started:.1f} s)")
            for case in aws:
                for field, (theirs, mine) in sorted(differences(aws[case], ours[case]).items()):
                    print(f"{case}  {field}\n    aws : {theirs!r:.1500}\n    ours: {mine!r:.1500}")


if __name__ == "__main__":
    main(sys.argv[1:] or ["*"])
