"""Runs one function process through a great many mixed invocations; every answer is checked, and nothing may grow.

  python3 dev.py soak --invocations 1000000
  python3 dev.py soak --invocations 20000 --http h11

Resident memory, descriptors and threads of the process are read a hundred times. They are flat when, after the first
tenth, memory grows by no more than --slack-kb and the two counts never change.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HANDLER = """
import sys
def handler(event, context):
    if isinstance(event, dict) and "do" in event:
        if event["do"] == "raise":
            raise ValueError("as asked")
        if event["do"] == "bytes":
            return b"\\x00\\x01" * event["n"]
        if event["do"] == "context":
            return [context.aws_request_id, context.client_context.custom, context.trace_id if False else None]
        if event["do"] == "unserializable":
            return object()
        if event["do"] == "large":
            return "x" * event["n"]
    return event
"""
ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'


class Case:
    """One kind of invocation: how it is delivered, what must come back, how that is answered."""

    def __init__(
        self,
        event: bytes,
        result: bytes | None = None,
        error: bytes | None = None,
        answer: bytes = ACCEPTED,
        *,
        chunks: int = 0,
        before: bytes = b"",
        headers: bytes = b"",
        trailer: bytes = b"",
        closes: bool = False,
    ) -> None:
        self.event, self.error, self.answer, self.closes = event, error, answer, closes
        self.result = event if result is None else result
        self.before, self.headers = before, headers
        if closes:
            self.headers += b"Connection: close\r\n"
        if chunks:
            step = len(event) // chunks + 1
            parts = [event[at : at + step] for at in range(0, len(event), step)]
            self.tail = b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts)
            self.tail += b"0\r\n" + trailer + b"\r\n"
        else:
            self.tail = b"Content-Length: %d\r\n\r\n" % len(event) + event

    def delivery(self, request_id: bytes) -> bytes:
        deadline = b"%d" % int(time.time() * 1000 + 60_000)
        return b"".join(
            (
                self.before,
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: ",
                request_id,
                b"\r\nLambda-Runtime-Deadline-Ms: ",
                deadline,
                b"\r\nLambda-Runtime-Trace-Id: Root=1-5bef4de7;Parent=",
                request_id,
                b"\r\n",
                self.headers,
                self.tail,
            )
        )


def cases() -> list[tuple[int, Case]]:
    """Each with how often it is drawn, in ten thousand."""
    records = json.dumps(
        [{"id": n, "name": "n\u00e4me", "v": n / 8} for n in range(2000)], separators=(",", ":"), ensure_ascii=False
    )
    refused = b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 2\r\n\r\n{}"
    return [
        (6000, Case(b'{"text":"hello","n":[1,2,3]}')),
        (1500, Case(b'{"text":"' + b"0123456789abcdef" * 200 + b'"}', chunks=1)),
        (500, Case(b'{"text":"' + b"0123456789abcdef" * 200 + b'"}', chunks=7)),
        (60, Case(records.encode(), chunks=1)),
        (400, Case(b'{"do":"raise"}', error=b'"errorMessage": "as asked", "errorType": "ValueError"')),
        (300, Case(b'{"do":"bytes","n":500}', b"\0\1" * 500)),
        (100, Case(b"{not json", error=b"Runtime.UnmarshalError")),
        (100, Case(b'{"do":"unserializable"}', error=b"Runtime.MarshalError")),
        (200, Case(b"[1]", closes=True)),
        (200, Case(b"[2]", before=b"HTTP/1.1 100 Continue\r\n\r\n")),
        (100, Case(b"[3]", chunks=1, trailer=b"A: b\r\n")),
        (100, Case(b"[4]", headers=b"A: b\r\n c\r\n")),
        (20, Case(b"[5]", headers=b"A: " + b"x" * 70_000 + b"\r\n")),
        (20, Case(b'{"do":"large","n":300000}', b'"' + b"x" * 300_000 + b'"', answer=refused)),
        (100, Case(b"[6]", answer=b"HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n2;e\r\n{}\r\n0\r\n\r\n")),
        (300, Case(b"null", headers=b"Lambda-Runtime-Invocation-Id: 1-2-3\r\n")),
    ]  # fmt: skip


class Endpoint:
    """Serves requests of one process, one connection after the other."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.connection: socket.socket | None = None
        self.pending = b""
        self.n_connections = 0

    def request(self) -> tuple[bytes, bytes]:
        """First line and body of the next request."""
        while True:
            head, found, rest = self.pending.partition(b"\r\n\r\n")
            if found:
                at = head.find(b"Content-Length: ")
                length = int(head[at + 16 :].partition(b"\r\n")[0]) if at >= 0 else 0
                if len(rest) >= length:
                    self.pending = rest[length:]
                    return head.partition(b"\r\n")[0], rest[:length]
            data = self.connection.recv(1 << 20) if self.connection else b""
            if data:
                self.pending += data
                continue
            if self.pending:
                sys.exit(f"soak: the connection ended in a request: {self.pending[:200]!r}")
            self.close()
            self.listener.settimeout(60)
            self.connection, _ = self.listener.accept()
            self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connection.settimeout(60)
            self.n_connections += 1

    def send(self, data: bytes) -> None:
        assert self.connection is not None
        self.connection.sendall(data)

    def close(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def sample(pid: int) -> tuple[int, int, int]:
    """Resident KiB, descriptors, threads."""
    status = Path(f"/proc/{pid}/status").read_text()
    rss, threads = (int(status.partition(f"{name}:")[2].split()[0]) for name in ("VmRSS", "Threads"))
    return rss, len(os.listdir(f"/proc/{pid}/fd")), threads


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--invocations", type=int, default=20_000)
    parser.add_argument("--http", choices=("native", "h11"), default="native")
    parser.add_argument("--pipeline", action="store_true", help="results and polls in one write")
    parser.add_argument("--slack-kb", type=int, default=1024, help="growth of memory that is still flat")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)

    folder = ROOT / ".cache/soak"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "soaked.py").write_text(HANDLER)
    endpoint = Endpoint()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FASTLAMBDA_", "PYTHON", "_"))}
    env |= {"AWS_LAMBDA_RUNTIME_API": endpoint.address, "LAMBDA_TASK_ROOT": str(folder), "PYTHONHASHSEED": "0"}
    env["PYTHONPATH"] = str(ROOT / "src")
    env |= {"FASTLAMBDA_HTTP": "h11"} if options.http == "h11" else {}
    env |= {"FASTLAMBDA_PIPELINE": "1"} if options.pipeline else {}
    quiet = subprocess.DEVNULL
    said = folder / f"stderr-{os.getpid()}.txt"  # a line for each refused result
    with said.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "fastlambda", "soaked.handler"], env=env, stdin=quiet, stdout=quiet, stderr=err
        )
    try:
        return soak(endpoint, process.pid, options)
    except (OSError, SystemExit):
        print(f"the process: {process.poll()}; its last words: {said.read_text()[-2000:]}", file=sys.stderr)
        raise
    finally:
        process.kill()
        process.wait()
        said.unlink()


def soak(endpoint: Endpoint, pid: int, options: argparse.Namespace) -> int:
    weights, kinds = zip(*cases(), strict=True)
    draws = random.Random(options.seed).choices(kinds, weights, k=options.invocations)
    draws[: len(kinds)] = kinds  # each at least once, and before the first sample
    every = max(1, options.invocations // 100)
    samples = []
    began = time.monotonic()
    for n, case in enumerate(draws):
        request_id = b"id-%d" % n
        line, _ = endpoint.request()
        if line != b"GET /2018-06-01/runtime/invocation/next HTTP/1.1":
            sys.exit(f"soak: invocation {n}: {line!r} where a poll was due")
        endpoint.send(case.delivery(request_id))
        if case.closes:
            endpoint.close()
        line, body = endpoint.request()
        verb = b"error" if case.error else b"response"
        if line != b"POST /2018-06-01/runtime/invocation/%s/%s HTTP/1.1" % (request_id, verb):
            sys.exit(f"soak: invocation {n}: {line!r} for {case.event[:100]!r}: {body[:200]!r}")
        if (case.error not in body) if case.error else (body != case.result):
            sys.exit(f"soak: invocation {n}: {body[:200]!r} for {case.event[:100]!r}")
        endpoint.send(case.answer)
        if n % every == every - 1:
            samples.append(sample(pid))
    seconds = time.monotonic() - began

    settled = samples[len(samples) // 10 :]
    rss, fds, threads = ([s[i] for s in settled] for i in range(3))
    growth = max(rss[len(rss) // 2 :]) - max(rss[: len(rss) // 2])
    # A sample may fall between two connections.
    is_flat = growth <= options.slack_kb and max(fds) - min(fds) <= 1 and min(threads) == max(threads)
    how = options.http + (", pipelined" if options.pipeline else "")
    print(
        f"{options.invocations:,} invocations ({how}), every answer right, {seconds:.0f} s, "
        f"{endpoint.n_connections:,} connections\n"
        f"resident {rss[0]:,} KiB after a tenth, {rss[-1]:,} KiB at the end; highest of the second half less highest "
        f"of the first: {growth:+,} KiB\n"
        f"descriptors {min(fds)} to {max(fds)}, threads {min(threads)} to {max(threads)}: "
        + ("flat" if is_flat else "NOT FLAT")
    )
    return 0 if is_flat else 1


if __name__ == "__main__":
    sys.exit(main())
