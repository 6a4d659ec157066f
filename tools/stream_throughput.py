"""Streams against a bare C client that writes the same chunks: bytes per second, and memory that a long stream takes.

  python3 dev.py stream_throughput [--runs N] [--json FILE]

One receiver (a thread that reads and counts) serves both in turn; each contender is a fresh process; the runs are
interleaved. The time goes from the first byte of the body to the last, as the receiver sees them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# (bytes of a chunk, chunks): the last is 200 MB.
CASES = [(1024, 50_000), (16_384, 6_400), (65_536, 3_200)]
ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'

HANDLER = """
import os
from fastlambda import StreamingResponse

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024

def handler(event, context):
    chunk = bytes(event["size"])
    def chunks():
        yield chunk
        before = resident()
        for _ in range(event["n"] - 1):
            yield chunk
        print("growth", resident() - before, flush=True)
    return StreamingResponse(chunks())
"""


def event_answer(n: int, size: int) -> bytes:
    body = json.dumps({"n": n, "size": size}).encode()
    return (
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: id-1\r\n"
        f"Lambda-Runtime-Deadline-Ms: {int(time.time() * 1000) + 600_000}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def receive(listener: socket.socket, n: int, size: int, buffer: bytearray) -> float:
    """Seconds for the body of one stream."""
    listener.settimeout(60)
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(60)
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        connection.sendall(event_answer(n, size))
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(65536)
        got = len(head.partition(b"\r\n\r\n")[2])
        begin = time.perf_counter()
        total = n * (len(b"%x" % size) + 2 + size + 2) + 5
        while got < total:
            part = connection.recv_into(buffer)
            if not part:
                raise RuntimeError(f"the stream ended after {got} of {total} bytes")
            got += part
        took = time.perf_counter() - begin
        if got != total:
            raise RuntimeError(f"{got} bytes, not {total}")
        connection.sendall(ACCEPTED)
        connection.settimeout(5)
        try:
            connection.recv(1)  # until it closes
        except OSError:
            pass
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11, help="runs of each contender and case (default 11)")
    parser.add_argument("--json", type=Path, help="write the result there")
    options = parser.parse_args()
    buffer = bytearray(1 << 20)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FASTLAMBDA_", "PYTHON", "_"))}
    cases: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name, socket.create_server(("127.0.0.1", 0)) as listener:
        folder = Path(name)
        (folder / "streams_here.py").write_text(HANDLER)
        client = folder / "client"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-O2", "-o", client, ROOT / "bench" / "stream_client.c"], check=True)
        port = listener.getsockname()[1]
        for size, n in CASES:
            took: dict[str, list[float]] = {"c": [], "fastlambda": []}
            growth: list[int] = []
            for _ in range(options.runs):
                for contender in took:
                    command = (
                        [str(client), str(port), str(n), str(size)]
                        if contender == "c"
                        else [sys.executable, "-m", "fastlambda", "streams_here.handler"]
                    )
                    with (folder / "log").open("wb") as log:
                        process = subprocess.Popen(
                            command,
                            cwd=folder,
                            env={**env, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}"},
                            stdout=log,
                            stderr=log,
                        )
                        try:
                            took[contender].append(receive(listener, n, size, buffer))
                        finally:
                            process.kill()
                            process.wait()
                    growth += [int(k) for k in re.findall(r"growth (-?\d+)", (folder / "log").read_text())]
                # The runtime asks for its next event before it is ended.
                listener.settimeout(0)
                try:
                    while True:
                        listener.accept()[0].close()
                except OSError:
                    pass
            megabytes = n * size / 1e6
            rates = {k: sorted(megabytes / t for t in v) for k, v in took.items()}
            c, ours = (statistics.median(rates[k]) for k in ("c", "fastlambda"))
            cases.append(
                {
                    "chunk_bytes": size,
                    "chunks": n,
                    "c_mb_per_s": round(c),
                    "fastlambda_mb_per_s": round(ours),
                    "ratio": round(ours / c, 3),
                    "c_min_max": [round(rates["c"][0]), round(rates["c"][-1])],
                    "fastlambda_min_max": [round(rates["fastlambda"][0]), round(rates["fastlambda"][-1])],
                    "growth_kib_max": max(growth, default=None),
                }
            )
            print(
                f"{size:>6} B x {n:>6}: C {c:7.0f} MB/s, fastlambda {ours:7.0f} MB/s, ratio {ours / c:.2f}, "
                f"growth at most {max(growth, default=0)} KiB"
            )
    if options.json:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
        result = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "commit": commit,
            "command": f"python3 dev.py stream_throughput --runs {options.runs}",
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.release()} {platform.machine()}, {os.cpu_count()} cores, shared",
            "doubts": "loopback is not Lambda (2 MB/s after the first 6 MB); receiver and sender share cores",
            "cases": cases,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
