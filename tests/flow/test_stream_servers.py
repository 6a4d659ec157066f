"""Streams against servers that nobody here wrote, through processes, and in volume."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import peers
import pytest
from functions_env import functions_env
from support import PATIENCE, ROOT, AwsServer, clean_env, end_process, free_port, wait_for_port

from fastlambda.local.process import Function

WHOLE = b"first,second,third,fourth"
HERE = Path(__file__).resolve().parent


@pytest.mark.parametrize(
    "target",
    ["generator", "async_generator", "response", "imperative", "open_at_the_end", ":SyncRunner", ":AsyncRunner"],
)
def test_awss_server_takes_every_form(target: str, tmp_path: Path) -> None:
    target = "stream_functions" + (target if target.startswith(":") else f".{target}")
    with AwsServer([sys.executable, "-m", "fastlambda", target], functions_env(), tmp_path) as server:
        for _ in range(3):
            assert server.invoke(b"{}") == (200, WHOLE)


def test_awss_server_gets_an_answer_from_the_same_process_after_each_failure(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fastlambda", "stream_functions.failing"]
    with AwsServer(command, functions_env(), tmp_path) as server:
        _, pid = server.invoke(b"{}")
        for how in ("value", "long", "type", "surrogate"):
            _, body = server.invoke(json.dumps({"fail": how}).encode())
            assert body == b"beginning,", "the classic server drops trailers"
            _, body = server.invoke(json.dumps({"fail": how, "when": "first"}).encode())
            assert b"errorType" in body
            assert server.invoke(b"{}")[1] == pid


# ---- AWS's server for Managed Instances, which honours trailers ---------------------------------------------------

# It starts /var/task/bootstrap as another user: /var is replaced, for this process and its children only.
INSIDE = """
set -e
mount -t tmpfs none /var
mkdir -p /var/task /var/python
mount --bind "$1" /var/python
cp -r "$2"/src/fastlambda /var/task/fastlambda
cp "$2"/tests/flow/stream_functions.py /var/task/
cat > /var/task/bootstrap <<'END'
#!/bin/sh
cd /var/task
export PYTHONPATH=/var/task LD_LIBRARY_PATH=/var/python/lib
exec /var/python/bin/python{version} -m fastlambda stream_functions.failing
END
chmod -R a+rX /var/task
chmod a+x /var/task/bootstrap
shift 2
exec "$@"
""".replace("{version}", f"{sys.version_info.major}.{sys.version_info.minor}")  # not every Python has a bin/python3


def can_replace_var() -> bool:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        return False
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/var"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.fixture
def lmi_port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    server = [
        str(peers.aws_server()),
        *("--runtime-interface-emulator-address", f"127.0.0.1:{port}"),
        *("--runtime-api-address", f"127.0.0.1:{free_port()}"),
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", INSIDE, "sh", sys.base_prefix, str(ROOT), *server],
            env=clean_env(AWS_LAMBDA_MAX_CONCURRENCY="1", AWS_LAMBDA_FUNCTION_TIMEOUT="30"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            wait_for_port(port, process)
            yield port
        finally:
            end_process(process)


@pytest.mark.skipif(not can_replace_var(), reason="a mount namespace is needed, which takes root's rights here")
def test_awss_server_for_managed_instances_reads_the_trailers(lmi_port: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", lmi_port, timeout=PATIENCE)

    def ask(**event: str) -> tuple[str | None, bytes]:
        end = time.monotonic() + PATIENCE
        while True:
            connection.request(
                "POST",
                "/2015-03-31/functions/function/invocations",
                body=json.dumps(event),
                headers={"Content-Type": "application/json"},
            )
            answer = connection.getresponse()
            error_type, body = answer.getheader("Error-Type"), answer.read()
            # This server does not wait for the poll that follows an answer.
            if error_type != "Runtime.Unavailable" or time.monotonic() > end:
                return error_type, body
            time.sleep(0.005)

    try:
        pid = ask()
        assert pid[0] is None
        for how, kind in (
            ("value", "Odd"),
            ("long", "Odd"),
            ("type", "TypeError"),
            ("surrogate", "UnicodeEncodeError"),
        ):
            error_type, body = ask(fail=how)
            # Longer trailers than ours would be a Runtime.TruncatedResponse.
            assert (error_type, json.loads(body)["errorType"]) == ("Runtime.Unknown", kind)
            assert ask() == pid
    finally:
        connection.close()


# ---- volume -------------------------------------------------------------------------------------------------------


def test_the_length_of_a_stream_costs_no_memory() -> None:
    n, size = 800, 65536
    received = 0

    def count(chunk: bytes) -> None:
        nonlocal received
        received += len(chunk)

    # 50 MB; tools/stream_throughput.py does 200 MB.
    with Function("stream_functions.big", cwd=HERE) as function:
        for _ in range(2):
            received = 0
            event = json.dumps({"n": n, "size": size}).encode()
            report = function.invoke(event, on_chunk=count)
            assert report.result.ok, report.result.error
            assert received == n * size
        growths = [int(g) for g in re.findall(rb"growth (-?\d+) KiB", bytes(function.logs))]
    assert len(growths) == 2
    assert max(growths) <= 4096


def test_fastlambda_invoke_writes_a_stream_as_it_comes(tmp_path: Path) -> None:
    """The function waits in its middle until its first chunk has come out of the command."""
    (tmp_path / "slow.py").write_text(
        "from fastlambda import streaming\n"
        "@streaming\n"
        "def handler(event, context):\n"
        "    yield 'first'\n"
        "    with open(event['gate']) as gate:\n"
        "        yield gate.read()\n"
    )
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = [sys.executable, "-m", "fastlambda.local.cli", "invoke", "slow.handler", json.dumps({"gate": str(gate)})]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=tmp_path, env=clean_env(), stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    try:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 100) == b"first"
        gate.write_text("second")
        assert process.stdout.read().strip() == b"second"
        assert process.wait(PATIENCE) == 0
    finally:
        end_process(process)
        if process.stdout is not None:
            process.stdout.close()
