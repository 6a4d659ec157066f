"""The core against AWS's own Runtime API server: what goes in comes out, byte for byte, at every size that matters."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from functions_env import FUNCTIONS, functions_env
from support import AwsServer

# 2048 and 2049 bytes: the server sends the first with a length, the second in chunks.
SIZES = {"2 B": 2, "1 KB": 1024, "2048 B": 2048, "2049 B": 2049, "100 KB": 100_000, "5.9 MB": 5_900_000}
# Invocations of each size; FASTLAMBDA_TEST_COUNT=1000 makes the long run of docs/testing.md.
COUNT = int(os.environ.get("FASTLAMBDA_TEST_COUNT", "20"))
TARGETS = ["functions.echo", "functions:SyncEcho", "functions:AsyncEcho", "functions:TypedEcho"]


def event_of(size: int) -> bytes:
    """A JSON document of exactly `size` bytes that all four functions give back as it is."""
    if size == 2:
        return b"{}"
    return b'{"text":"' + (b"0123456789abcde\xc3\xa9" * (size // 17 + 1))[: size - 12] + b"z" + b'"}'


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("http", ["native", "h11"])
def test_every_size_comes_back_byte_for_byte(target: str, http: str, tmp_path: Path) -> None:
    env = functions_env(**({"FASTLAMBDA_HTTP": "h11"} if http == "h11" else {}))
    with AwsServer([sys.executable, "-m", "fastlambda", target], env, tmp_path) as server:
        for name, size in SIZES.items():
            event = event_of(size)
            if "\N{REPLACEMENT CHARACTER}" in event.decode(errors="replace"):
                event = event.replace(b"\xc3z", b"zz")
            assert len(event) == size
            for n in range(COUNT if size < 200_000 else max(3, COUNT // 50)):
                status, body = server.invoke(event)
                assert (status, body) == (200, event), f"{name}, invocation {n}: {body[:200]!r}"


@pytest.mark.parametrize("target", ["functions.fail", "functions:FailingRunner"])
def test_a_failing_function_is_told_and_the_process_goes_on(target: str, tmp_path: Path) -> None:
    with AwsServer([sys.executable, "-m", "fastlambda", target], functions_env(), tmp_path) as server:
        pids = set()
        for _ in range(3):
            _, body = server.invoke(b'{"fail": true}')
            assert b'"errorMessage": "as asked", "errorType": "ValueError"' in body
            first = json.loads(body)["stackTrace"][0]
            assert str(FUNCTIONS / "functions.py") in first, "frames of the runtime come before the function's"
            pids.add(server.invoke(b"{}")[1])
        assert len(pids) == 1, "the process was started again"
