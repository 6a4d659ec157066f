#!/usr/bin/env python3
"""Functions that use nearly all of their memory, which succeed, and functions that use more, which are reported.

Each function runs in a memory control group of its size, where one can be made, and else as it is: then its resident
size counts, and what fills the memory without an end is stopped by the guard, or at three times the size.

Peaks: a handler fills the memory to a percentage, in one step or in steps of 256 KB, holds it and comes back. Fills:
one handler for each way (tests/flow/filling.py), which does not stop, in a fresh process each time.

  python3 tools/guard_memory.py [--sizes 128,512,2048] [--times 20] [--peaks 1] [--hold 1.0] [--resident]

Exit status 0: every peak succeeded, nothing was reported twice, and of the fills at least nine in ten were reported
before the process was killed.
"""

# extras: dev

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "flow")]

import cgroups  # noqa: E402
import filling  # noqa: E402
from guarded import LocalFunction  # noqa: E402

PERCENT = (90, 95, 97, 98.5)
HOW = ("in_one_step", "in_steps")
PATIENCE = 120.0
REPORTED = 0.9


class Broken(AssertionError):
    """Something was told twice, or told wrongly."""


class Function:
    """A function of one size, in its group."""

    def __init__(self, size_mb: int, function: LocalFunction, group: cgroups.Group | None) -> None:
        self.function = function
        self.limit = size_mb << 20
        self.event: dict[str, object] = {"limit": self.limit}
        if group is not None:
            self.event.update(cgroups.memory_files(group))
        self.n = self.n_ended = 0

    def run(self, do: str, **more: object) -> str:
        """How it came out: "ok", an error's type, or "killed"."""
        self.n += 1
        event = {**self.event, **more, "do": do}
        request_id = f"{do}-{self.n}"
        result = self.function.api.invoke(json.dumps(event).encode(), request_id=request_id, timeout_s=PATIENCE)
        if result.kind == "response":
            return "ok"
        if result.kind == "exit":
            return "killed"
        if result.kind != "error" or result.error["requestId"] != request_id:
            raise Broken(f"{request_id}: {result}")
        return str(result.error_type)

    def renew(self) -> None:
        """What comes next meets a fresh process, in which no report has been told yet; and it is answered."""
        if len(self.function.exit_codes) == self.n_ended:
            self.function.process.kill()
        while len(self.function.exit_codes) == self.n_ended:
            self.function.thread.join(0.01)
        self.n_ended = len(self.function.exit_codes)
        self.settle()

    def settle(self) -> None:
        """The next event is answered, by this process or a fresh one, and nothing was answered twice."""
        for _ in range(5):
            if self.run("nothing") == "ok":
                break
        else:
            raise Broken("the next invocations fail")
        if "was answered with 4" in self.function.log:
            raise Broken("there were two answers")


@contextlib.contextmanager
def function_of(size_mb: int, by_resident: bool, folder: Path) -> Iterator[Function]:
    """A function in a group of its size.

    Raises:
        NoCgroup: none can be made here.
    """
    made = contextlib.nullcontext() if by_resident else cgroups.memory_group(size_mb << 20)
    env = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(size_mb)}
    with made as group, LocalFunction("filling.handler", folder, env, PATIENCE, group) as function:
        yield Function(size_mb, function, group)


def peaks(size_mb: int, times: int, hold_s: float, by_resident: bool) -> dict[tuple[float, str], Counter[str]]:
    """Outcomes, for each percentage and way."""
    found: dict[tuple[float, str], Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder, function_of(size_mb, by_resident, Path(folder)) as function:
        function.settle()
        for percent in PERCENT:
            for how in HOW:
                counts = found[percent, how] = Counter()
                for _ in range(times):
                    counts[function.run("peak", percent=percent, how=how, hold_s=hold_s)] += 1
                    function.settle()
    return found


def fills(size_mb: int, times: int, by_resident: bool) -> dict[str, Counter[str]]:
    """Outcomes, for each way of filling."""
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder, function_of(size_mb, by_resident, Path(folder)) as function:
        function.settle()
        for way in filling.WAYS:
            counts = found[way.__name__] = Counter()
            for _ in range(times):
                counts[function.run(way.__name__)] += 1
                function.renew()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="128,512,2048")
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--peaks", type=int, default=1)
    parser.add_argument("--hold", type=float, default=1.0)
    parser.add_argument("--resident", action="store_true", help="no control group: the resident size counts")
    options = parser.parse_args()
    by_resident = options.resident
    if not by_resident:
        try:
            cgroups.memory_group(64 << 20).close()
        except cgroups.NoCgroup as exc:
            print(f"by resident size: {exc}")
            by_resident = True
    is_well = True
    for size in map(int, options.sizes.split(",")):
        if options.peaks:
            for (percent, how), counts in peaks(size, options.peaks, options.hold, by_resident).items():
                print(f"{size:5} MB  peak at {percent} %, {how}: {dict(counts)}", flush=True)
                is_well &= set(counts) == {"ok"}
        if options.times:
            total: Counter[str] = Counter()
            for way, counts in fills(size, options.times, by_resident).items():
                print(f"{size:5} MB  {way}: {dict(counts)}", flush=True)
                total += counts
            reported = total["Runtime.MemoryExhausted"] / total.total()
            print(f"{size:5} MB  reported: {reported:.1%} of {total.total()}", flush=True)
            is_well &= reported >= REPORTED
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
