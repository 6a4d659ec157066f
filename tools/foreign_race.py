#!/usr/bin/env python3
"""A thread takes the number of the connection to the Runtime API around the moment of the answer, again and again.

Runs a function under fastlambda's own endpoint.  With each invocation a thread waits for a random time without the
interpreter's lock, and then puts a foreigner in the place of the connection's descriptor, or closes it: a listener that
answers as the Runtime API would and sends events of its own, one that says nothing, a file, a pipe, nothing.  Holds
when no byte arrives at a foreigner, no event of a foreigner is executed, and each invocation has one outcome: its own
answer, or the end of the process with a line that says why.

  python3 tools/foreign_race.py [--rounds 10000] [--seed N]

Exit status 0: all rounds hold.
"""

# extras: dev

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "flow")]

from guarded import LocalFunction  # noqa: E402
from support import ACCEPTED, PATIENCE, event_answer  # noqa: E402

KINDS = ["listener", "silent", "file", "pipe", "nothing"]
HOW = ["result", "result", "error", "stream"]
# From before the handler comes back to after the next poll is sent.
WAIT_NS = 600_000
LIBRARY = r"""
#include <stdint.h>
#include <time.h>
#include <unistd.h>

void race(int number, int foreign, long wait_ns)
{
    struct timespec now;
    int64_t until;

    clock_gettime(CLOCK_MONOTONIC, &now);
    until = now.tv_sec * INT64_C(1000000000) + now.tv_nsec + wait_ns;
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while (now.tv_sec * INT64_C(1000000000) + now.tv_nsec < until);
    if (foreign < 0)
        close(number);
    else
        dup2(foreign, number);
}
"""


class Broken(AssertionError):
    """A round does not hold."""


class Foreigners:
    """Everything that takes the number, and what was written to it."""

    def __init__(self, folder: Path) -> None:
        self.received = b""
        self.file, self.pipe = folder / "file", folder / "pipe"
        self.file.touch()
        os.mkfifo(self.pipe)
        self.pipe_fd = os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK)
        self.servers = {kind: socket.create_server(("127.0.0.1", 0)) for kind in ("listener", "silent")}
        self.connections: list[socket.socket] = []
        for kind in self.servers:
            threading.Thread(target=self.accept, args=[kind], daemon=True).start()

    def where(self, kind: str) -> str:
        if kind in self.servers:
            return "{}:{}".format(*self.servers[kind].getsockname())
        return str(self.pipe if kind == "pipe" else self.file)

    def accept(self, kind: str) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.servers[kind].accept()
                self.connections.append(connection)
                threading.Thread(target=self.serve, args=[kind, connection], daemon=True).start()

    def serve(self, kind: str, connection: socket.socket) -> None:
        event = json.dumps({"how": "result", "kind": "nothing", "wait_ns": 0, "nonce": "of a foreigner"}).encode()
        with contextlib.suppress(OSError):
            if kind == "listener":
                connection.sendall((ACCEPTED + event_answer(event, "foreign")) * 20)
            while piece := connection.recv(65536):
                self.received += piece

    def check(self) -> None:
        got = self.received + self.file.read_bytes()
        with contextlib.suppress(BlockingIOError):
            got += os.read(self.pipe_fd, 65536)
        if got:
            raise Broken(f"a foreigner got {got[:200]!r}")

    def close(self) -> None:
        for server in self.servers.values():
            server.close()
        for connection in self.connections:
            connection.close()
        os.close(self.pipe_fd)


def outcome_of(function: LocalFunction, event: dict[str, object]) -> str:
    """One invocation; what became of it."""
    nonce = event["nonce"]
    result = function.api.invoke(json.dumps(event).encode(), request_id=str(nonce), timeout_s=PATIENCE)
    if result.kind == "timeout":
        raise Broken(f"{event}: no outcome")
    if event["how"] == "stream":
        if result.ok:
            if result.body != str(nonce).encode() * 3:
                raise Broken(f"{event}: a stream with {result.body!r}")
            return "arrived"
        return "a stream cut off, or a process ended, and told"
    if result.kind == "response":
        if result.json() != nonce:
            raise Broken(f"{event}: answered with {result.body!r}")
        return "arrived"
    if result.kind == "error":
        if event["how"] != "error" or result.error["errorMessage"] != nonce:
            raise Broken(f"{event}: failed with {result.error}")
        return "arrived"
    return "a process ended, and told"


def run(rounds: int, seed: int) -> Counter[str]:
    """Runs so many rounds.

    Raises:
        Broken: one does not hold.
    """
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "race.c").write_text(LIBRARY)
        library = str(folder / "race.so")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", str(folder / "race.c"), "-o", library], check=True)
        foreigners = Foreigners(folder)
        try:
            with LocalFunction("racing_functions.handler", folder, {"RACE_LIBRARY": library}) as function:
                for n in range(rounds):
                    kind = rng.choice(KINDS)
                    event = {
                        "how": rng.choice(HOW),
                        "kind": kind,
                        "where": foreigners.where(kind),
                        "wait_ns": rng.randrange(WAIT_NS),
                        "nonce": f"round-{n}",
                    }
                    counts[outcome_of(function, event)] += 1
                    foreigners.check()
                log, codes = function.log, function.exit_codes
            check_log(log, codes)
        finally:
            foreigners.close()
    return counts


def check_log(log: str, codes: list[int]) -> None:
    """Nothing was answered twice (the endpoint would have refused it), and each end was told."""
    # A stream whose end is not known may have its event handed out again, which is failed then and not run.
    lines = [line for line in log.splitlines() if line.startswith("fastlambda: ") and "is opened again" not in line]
    refused = [line for line in lines if "/response at" in line and "was answered with" in line]
    if refused:
        raise Broken(f"a result was refused: {refused[:3]}")
    told = sum("going on" not in line for line in lines)
    if any(code != 1 for code in codes) or told < len(codes):
        raise Broken(f"exit codes {Counter(codes)}, and {told} ends were told")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10_000, help="default: 10,000")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32), help="of the random choices")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    counts = run(args.rounds, args.seed)
    for outcome, count in counts.most_common():
        print(f"{count:8} {outcome}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
