"""The core against a second Runtime API server that nobody here wrote: cargo-lambda's.

It only starts inside a Cargo project (`cargo metadata` is run), so the test makes an empty one. Its Runtime API lies
below a path, `host:port/.rt/FUNCTION`, and it answers results with 200 and no body.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from functions_env import functions_env
from support import PATIENCE, end_process, free_port, wait_for_port

SIZES = [2, 1024, 2048, 2049, 100_000, 5_900_000]

pytestmark = pytest.mark.skipif(
    shutil.which("cargo") is None, reason="cargo is not installed, and cargo-lambda needs it to start"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    project = tmp_path_factory.mktemp("cargo")
    (project / "src").mkdir()
    (project / "src/main.rs").write_text("fn main() {}\n")
    (project / "Cargo.toml").write_text('[package]\nname = "echo"\nversion = "0.1.0"\nedition = "2021"\n')
    port = free_port()
    command = Path(sys.executable).with_name("cargo-lambda")
    with (project / "log").open("wb") as log:
        process = subprocess.Popen(
            [command, "lambda", "watch", "--only-lambda-apis", "-A", "127.0.0.1", "-P", str(port)],
            cwd=project,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={k: v for k, v in os.environ.items() if not k.startswith("AWS_")},
            start_new_session=True,
        )
        wait_for_port(port, process)
        yield port
        end_process(process)


@pytest.mark.parametrize("target", ["functions.echo", "functions:AsyncEcho", "functions:TypedEcho"])
def test_every_size_comes_back_byte_for_byte(target: str, server: int) -> None:
    function = subprocess.Popen(
        [sys.executable, "-m", "fastlambda", target],
        env=functions_env(AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{server}/.rt/echo"),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)) as connection:
            for size in SIZES:
                event = b"{}" if size == 2 else b'{"text":"' + b"x" * (size - 11) + b'"}'
                for _ in range(3):
                    connection.request("POST", "/2015-03-31/functions/echo/invocations", body=event)
                    answer = connection.getresponse()
                    assert (answer.status, answer.read()) == (200, event)
        assert function.poll() is None
    finally:
        end_process(function)


def test_a_stream_with_http_headers_is_taken_apart(server: int) -> None:
    """Its server reads the prelude and its end as chunks of their own, and has no use for a stream without."""
    function = subprocess.Popen(
        [sys.executable, "-m", "fastlambda", "stream_functions.http"],
        env=functions_env(AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{server}/.rt/echo"),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", server, timeout=PATIENCE)) as connection:
            for path in ("/2015-03-31/functions/echo/invocations", "/lambda-url/echo/"):
                connection.request("POST", path, body=b"{}")
                answer = connection.getresponse()
                assert (answer.status, answer.getheader("X-A"), answer.read()) == (201, "1", b"body")
        assert function.poll() is None
    finally:
        end_process(function)
