#!/usr/bin/env python3
"""Handlers that finish around the moment at which the guard acts, and handlers that hang: each answered once, in time.

Runs functions under fastlambda's own endpoint with the default margins. A racing handler comes back at a random moment
from 5 to 150 ms before its deadline; half of them compute until then, the others sleep, and half of both throw the
guard's exception away, so that they race step two, too.
After each run a second event with a far deadline must be answered with its own nonce: a late exception would hit it.
A hanging handler is one of those of the tests, each `--hangs` times.

With `--cpu` the function's processes get that share of one CPU, by a control group, and come before other work on the
machine; the endpoint stays outside.

  python3 tools/guard_margin.py [--runs 2000] [--hangs 20] [--cpu 1/14] [--seed N] [--workers 2] [--strict]

Exit status 0: all runs hold; 75: no control group can be made here. How many were answered after the deadline is told,
and is a failure with `--strict` only; those during which the tool itself stood still are counted apart.
"""

# extras: dev

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import queue
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "flow")]

import cgroups  # noqa: E402
from guarded import LocalFunction  # noqa: E402

from fastlambda.local.endpoint import Result  # noqa: E402

TIMEOUT_MS = 250
PATIENCE = 60.0
DEFAULTS = {"FASTLAMBDA_TIMEOUT_MARGIN_MS": "100", "FASTLAMBDA_TIMEOUT_LAST_MS": "30"}
# As Lambda's own 128 MB of 1,769 MB: so short that 20 ms hold all that a period gives.
PERIOD_US = 20_000
# The witness looks every 2 ms; a pause this long, so short before a deadline, is the machine's.
STALL_NS = 10_000_000
STALLS_BEFORE_NS = 150_000_000
CANNOT = 75  # sysexits.h: EX_TEMPFAIL


class Broken(AssertionError):
    """A run does not hold."""


class Witness:
    """Sees when the machine, or this process, stands still: what is late then proves nothing about the guard."""

    def __init__(self) -> None:
        self.stalls: collections.deque[tuple[int, int]] = collections.deque(maxlen=10_000)
        self.must_stop = threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def watch(self) -> None:
        before = time.monotonic_ns()
        while not self.must_stop.wait(0.002):
            now = time.monotonic_ns()
            if now - before > STALL_NS:
                self.stalls.append((before, now))
            before = now

    def saw_a_stall(self, since_ns: int, until_ns: int) -> bool:
        return any(begin < until_ns and end > since_ns for begin, end in list(self.stalls))

    def __enter__(self) -> Witness:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.must_stop.set()
        self.thread.join()


class Tally:
    """What was seen; used by all workers.

    Args:
        witness: of the machine's own pauses.

    Attributes:
        counts: outcomes, each (what was run, how it came out).
        late: of them, those that came after the deadline while the machine went on.
        stalled: of them, those that came after it while the machine stood still.
        left: the least milliseconds that were left, for each outcome.
    """

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.counts: Counter[tuple[str, str]] = Counter()
        self.late: Counter[tuple[str, str]] = Counter()
        self.stalled: Counter[tuple[str, str]] = Counter()
        self.left: dict[tuple[str, str], float] = {}
        self.lock = threading.Lock()

    def note(self, what: str, outcome: str, deadline_ns: int, answered_ns: int) -> None:
        key = (what, outcome)
        left_ms = (deadline_ns - answered_ns) / 1e6
        with self.lock:
            self.counts[key] += 1
            if left_ms < 0:
                is_stalled = self.witness.saw_a_stall(deadline_ns - STALLS_BEFORE_NS, answered_ns)
                (self.stalled if is_stalled else self.late)[key] += 1
            self.left[key] = min(left_ms, self.left.get(key, left_ms))

    def lines(self) -> Iterator[str]:
        yield f"{'runs':>6} {'late':>5} {'stalled':>7} {'least left':>11}  what, and how it was answered"
        for (what, outcome), n in sorted(self.counts.items()):
            left = f"{self.left[what, outcome]:.1f} ms"
            yield f"{n:6} {self.late[what, outcome]:5} {self.stalled[what, outcome]:7} {left:>11}  {what}: {outcome}"


def outcome_of(result: Result, request_id: str, expected: object = None) -> str:
    """How an invocation was answered.

    Raises:
        Broken: not at all, with another one's answer, or with another error.
    """
    if result.kind == "response" and result.stream_error is None and not result.streamed:
        if expected is None or result.json() != expected:
            raise Broken(f"{request_id}: answered with {result.body!r}")
        return "the handler's result"
    if result.error_type == "Runtime.InvocationTimeout":
        document = result.error
        if document["requestId"] != request_id:
            raise Broken(f"{request_id}: reported as {document}")
        return "interrupted" if document["stackTrace"] else "reported by the guard's thread"
    if result.kind == "exit":
        raise Broken(f"{request_id}: the process ended and nothing was reported")
    if result.streamed:
        return "a stream that was cut off"
    raise Broken(f"{request_id}: {result}")


def follow(function: LocalFunction, request_id: str, event: dict[str, object], expected: object) -> None:
    """The next event must be answered as if nothing had been."""
    following = function.api.invoke(json.dumps(event).encode(), request_id=request_id, timeout_s=PATIENCE)
    if not following.ok or (expected is not None and following.json() != expected):
        raise Broken(f"{request_id}: the next invocation came out as {following}")


def one_race(function: LocalFunction, rng: random.Random, nonce: str, timeout_ms: int, tally: Tally) -> None:
    left_ms = rng.uniform(5, 150)
    do = rng.choice(["until", "until_swallowing", "computing", "computing_swallowing"])
    deadline_ms = int(time.time() * 1000) + timeout_ms
    deadline_ns = time.monotonic_ns() + timeout_ms * 1_000_000
    event = {"do": do, "until_ms": deadline_ms - left_ms, "nonce": nonce}
    pending = function.api.submit(
        json.dumps(event).encode(), request_id=nonce, deadline_ms=deadline_ms, timeout_s=PATIENCE
    )
    result = pending.answer()
    tally.note(f"a race, {do}", outcome_of(result, nonce, nonce), deadline_ns, result.answered_ns)
    follow(function, f"{nonce}-next", {"do": "work", "nonce": f"{nonce}-next"}, f"{nonce}-next")


def one_hang(function: LocalFunction, do: str, request_id: str, timeout_ms: int, tally: Tally) -> None:
    deadline_ms = int(time.time() * 1000) + timeout_ms
    deadline_ns = time.monotonic_ns() + timeout_ms * 1_000_000
    pending = function.api.submit(
        json.dumps({"do": do}).encode(),
        request_id=request_id,
        deadline_ms=deadline_ms,
        timeout_s=PATIENCE,
        streaming=do.startswith("stream_"),
    )
    result = pending.answer()
    tally.note(do, outcome_of(result, request_id), deadline_ns, result.answered_ns)
    follow(function, f"{request_id}-next", {"do": "state"}, None)


Job = Callable[[LocalFunction], None]


def work(target: str, jobs: queue.SimpleQueue[Job], env: dict[str, str], share: Fraction | None) -> None:
    """One process after another, with all the jobs that it gets."""
    group = cgroups.cpu_group(round(PERIOD_US * share), PERIOD_US) if share else contextlib.nullcontext()
    with (
        tempfile.TemporaryDirectory() as folder,
        group as inside,
        LocalFunction(target, Path(folder), env, inside=inside) as function,
    ):
        module = target.partition(".")[0].partition(":")[0]
        first = {"do": "work", "nonce": "first"} if module == "margin" else {"do": "state"}
        follow(function, "first", first, None)
        while True:
            try:
                job = jobs.get_nowait()
            except queue.Empty:
                break
            job(function)
        for text in ("was answered with 4", "Exception ignored", "race condition"):
            if text in function.log:
                raise Broken(f"the function's log says {text!r}: {function.log[-2000:]}")
        if set(function.exit_codes) - {1, 124}:
            raise Broken(f"processes ended with {Counter(function.exit_codes)}")


def run(
    runs: int, seed: int, workers: int, hangs: int = 0, share: Fraction | None = None, tally: Tally | None = None
) -> Tally:
    """Makes all runs.

    Args:
        runs: races.
        seed: of their moments.
        workers: functions side by side.
        hangs: how often each way of hanging is tried.
        share: of one CPU, for each function; None: all there is.
        tally: to be added to.

    Returns:
        What was seen.

    Raises:
        Broken: a run does not hold.
        NoCgroup: no group can be made for `share`.
    """
    if tally is None:
        with Witness() as witness:
            return run(runs, seed, workers, hangs, share, Tally(witness))
    env = dict(DEFAULTS)
    timeout_ms = TIMEOUT_MS
    if share:
        env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = str(round(1769 * share))
        timeout_ms = 1000
    by_target: dict[str, queue.SimpleQueue[Job]] = {"margin.handler": queue.SimpleQueue()}
    rng = random.Random(seed)
    for n in range(runs):
        mine = random.Random(rng.random())
        by_target["margin.handler"].put(
            lambda function, n=n, mine=mine: one_race(function, mine, f"run-{n}", timeout_ms, tally)
        )
    if hangs:
        from test_guard import INTERRUPTIBLE, NOT_INTERRUPTIBLE, PLAIN

        ways = [(do, target) for do, target, _ in INTERRUPTIBLE] + list(NOT_INTERRUPTIBLE)
        ways += [(do, PLAIN) for do in ("stream_then_sleep", "stream_then_hang", "stream_then_sleep_async")]
        for n in range(hangs):
            for do, target in ways:
                by_target.setdefault(target, queue.SimpleQueue()).put(
                    lambda function, do=do, n=n: one_hang(function, do, f"{do}-{n}", timeout_ms, tally)
                )
    broken: list[BaseException] = []

    def keep_working() -> None:
        try:
            for target, jobs in by_target.items():
                if not jobs.empty():
                    work(target, jobs, env, share)
        except BaseException as exc:
            broken.append(exc)

    threads = [threading.Thread(target=keep_working) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--hangs", type=int, default=0)
    parser.add_argument("--cpu", type=Fraction, default=None, help="share of one CPU, such as 1/14")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--strict", action="store_true")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with cgroups.precedence(), Witness() as witness:
        tally = Tally(witness)
        try:
            run(options.runs, options.seed, options.workers, options.hangs, options.cpu, tally)
        except cgroups.NoCgroup as exc:
            print(f"skipped: {exc}")
            return CANNOT
        finally:
            print("\n".join(tally.lines()))
    return 1 if options.strict and sum(tally.late.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
