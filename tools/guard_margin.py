#!/usr/bin/env python3
"""Handlers that finish around the moment at which the guard acts: each is answered once, and none disturbs the next.

Runs a function under fastlambda's own endpoint with the default margins. Each handler comes back at a random moment
from 5 to 150 ms before its deadline; half of them throw the guard's exception away, so that they race step two, too.
After each run a second event with a far deadline must be answered with its own nonce: a late exception would hit it.

  python3 tools/guard_margin.py [--runs 2000] [--seed N] [--workers 2]

Exit status 0: all runs hold. How many were answered after the deadline is told, and no failure: on a machine that does
other things, nobody can promise that.
"""

# extras: dev

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "flow")]

from guarded import LocalFunction  # noqa: E402

TIMEOUT_MS = 250


class Broken(AssertionError):
    """A run does not hold."""


def one_run(function: LocalFunction, rng: random.Random, nonce: str, counts: Counter[str], late: Counter[str]) -> None:
    left_ms = rng.uniform(5, 150)
    do = rng.choice(["until", "until_swallowing"])
    deadline_ms = int(time.time() * 1000) + TIMEOUT_MS
    deadline_ns = time.monotonic_ns() + TIMEOUT_MS * 1_000_000
    event = {"do": do, "until_ms": deadline_ms - left_ms, "nonce": nonce}
    pending = function.api.submit(json.dumps(event).encode(), request_id=nonce, deadline_ms=deadline_ms, timeout_s=60)
    result = pending.answer()
    outcome = ""
    if result.kind == "response":
        if result.json() != nonce:
            raise Broken(f"{nonce}: answered with {result.body!r}")
        outcome = "the handler's result"
    elif result.kind == "error" and result.error_type == "Runtime.InvocationTimeout":
        document = result.error
        if document["requestId"] != nonce:
            raise Broken(f"{nonce}: reported as {document}")
        outcome = "interrupted" if document["stackTrace"] else "reported by the guard's thread"
    elif result.kind == "exit":
        raise Broken(f"{nonce}: the process ended and nothing was reported")
    else:
        raise Broken(f"{nonce}: {result}")
    counts[outcome] += 1
    if result.answered_ns > deadline_ns:
        late[outcome] += 1
    following = function.api.invoke(
        json.dumps({"do": "work", "nonce": f"{nonce}-next"}).encode(), request_id=f"{nonce}-next", timeout_s=60
    )
    if not following.ok or following.json() != f"{nonce}-next":
        raise Broken(f"{nonce}: the next invocation came out as {following}")


def run(runs: int, seed: int, workers: int) -> tuple[Counter[str], Counter[str]]:
    """Makes all runs.

    Returns:
        How often each outcome was seen, and how often after the deadline.

    Raises:
        Broken: a run does not hold.
    """
    counts: Counter[str] = Counter()
    late: Counter[str] = Counter()
    broken: list[BaseException] = []

    def work(number: int) -> None:
        rng = random.Random(f"{seed}-{number}")
        env = {"FASTLAMBDA_TIMEOUT_MARGIN_MS": "100", "FASTLAMBDA_TIMEOUT_LAST_MS": "30"}
        with tempfile.TemporaryDirectory() as folder:
            try:
                with LocalFunction("margin.handler", Path(folder), env) as function:
                    for n in range(number, runs, workers):
                        one_run(function, rng, f"run-{n}", counts, late)
                    for text in ("was answered with 4", "Exception ignored", "race condition"):
                        if text in function.log:
                            raise Broken(f"the function's log says {text!r}: {function.log[-2000:]}")
                    if set(function.exit_codes) - {124}:
                        raise Broken(f"processes ended with {Counter(function.exit_codes)}")
            except BaseException as exc:
                broken.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    return counts, late


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    counts, late = run(options.runs, options.seed, options.workers)
    for outcome, n in counts.most_common():
        print(f"{n:6} {outcome}, {late[outcome]} of them after the deadline")
    return 0


if __name__ == "__main__":
    sys.exit(main())
