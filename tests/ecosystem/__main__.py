"""`python -m ecosystem [NAME ...]` from the tests directory: every case under both clients; writes results.md.

In an environment that has the packages of cases.py, which are too many for CI's: pip install them by name.
"""

import datetime
import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .cases import CASES
from .side import observe

RESULTS = Path(__file__).parent / "results.md"


def main(names: list[str]) -> int:
    rows, failed = [], 0
    for case in CASES:
        if names and case.app not in names:
            continue
        try:
            packages = ", ".join(f"{name} {version(name)}" for name in case.packages)
        except PackageNotFoundError as exc:
            print(f"{case.app}: {exc} is not installed", file=sys.stderr)
            rows.append((case, ", ".join(case.packages), "not tried: it could not be installed"))
            continue
        try:
            aws, ours = observe("aws", case), observe("fastlambda", case)
        except Exception as exc:
            print(f"{case.app}: {exc!r}", file=sys.stderr)
            rows.append((case, packages, f"failed: {exc}"))
            failed += 1
            continue
        found = [part for part in aws if aws[part] != ours[part]]
        counts = f"{len(ours['answered'])} answers, {len(ours['logged'])} log lines, {len(ours['recorded'])} requests"
        rows.append((case, packages, f"equal ({counts})" if not found else f"differs in what was {', '.join(found)}"))
        print(f"{case.app}: {rows[-1][2]}", flush=True)
        failed += bool(found)
        for part in found:
            for client, seen in (("aws", aws), ("fastlambda", ours)):
                rest = (ours if client == "aws" else aws)[part]
                print(f"    {part}, only {client}: {json.dumps([x for x in seen[part] if x not in rest])[:1500]}")
    if not names:
        write(rows)
    return failed


def write(rows: list[tuple]) -> None:  # type: ignore[type-arg]
    lines = [
        "# Real packages under both clients",
        "",
        f"Written by `python -m ecosystem` on {datetime.date.today()}: CPython {sys.version.split()[0]}, awslambdaric "
        f"{version('awslambdaric')}. Answers, log lines and requests to an intake on loopback, without ids, times and "
        "numbers.",
        "",
        "| Case | Package | Result | Note |",
        "|---|---|---|---|",
    ]
    lines += [f"| {case.app} | {packages} | {result} | {case.note} |" for case, packages, result in rows]
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
