"""Around the invocations: SIGTERM, after the response, SnapStart, the extension, and logging's late set-up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from differential.endpoint import Endpoint, Event
from support import PATIENCE, clean_env

HERE = Path(__file__).parent


class Function:
    """A process that runs a function of this folder, and what it wrote."""

    def __init__(self, target: str, endpoint: Endpoint, out: Path, env: dict[str, str]) -> None:
        self.endpoint = endpoint
        self.out = out
        with out.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fastlambda", target],
                cwd=HERE,
                env=clean_env(AWS_LAMBDA_RUNTIME_API=endpoint.address, **env),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.PIPE,
            )

    def wait_for_poll(self) -> None:
        """Until all events are answered and the process waits for the next."""
        assert self.endpoint.waiting.wait(PATIENCE), self.log

    def end(self) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, self.log, errors.decode()

    @property
    def log(self) -> str:
        return self.out.read_bytes().decode()

    def answers(self) -> list[object]:
        return [json.loads(r.body) for r in self.endpoint.requests if r.path.endswith("/response")]


@contextmanager
def function(
    target: str, events: Sequence[Event], tmp_path: Path, statuses: dict[str, int] | None = None, **env: str
) -> Iterator[Function]:
    with Endpoint(events, statuses) as endpoint:
        running = Function(target, endpoint, tmp_path / "stdout", env)
        try:
            yield running
        finally:
            running.process.kill()
            running.process.communicate()


TWO = [Event("one"), Event("two", b'{"fail": true}')]


def test_sigterm_in_the_poll_runs_the_shutdown_callbacks_last_first(tmp_path: Path) -> None:
    with function("lifecycle_functions.handler", TWO, tmp_path) as running:
        running.wait_for_poll()
        running.process.send_signal(signal.SIGTERM)
        code, log, errors = running.end()
    assert code == 0
    assert log.endswith("after\nshutdown 2\nshutdown 1\n")
    assert "Traceback" not in errors


def test_after_response_runs_after_each_report_and_its_failure_is_told(tmp_path: Path) -> None:
    with function("lifecycle_functions.handler", TWO, tmp_path, FASTLAMBDA_PIPELINE="1") as running:
        running.wait_for_poll()
        running.process.send_signal(signal.SIGTERM)
        _, log, errors = running.end()
        told = [line for line in log.rstrip("\n").split("\n") if not line.startswith("[ERROR]")]
        assert told == ["handler", "after", "handler", "after", "shutdown 2", "shutdown 1"]
        assert errors.count("an after-response callback failed: ValueError: flush failed") == 2
        paths = [request.path.rpartition("/")[2] for request in running.endpoint.requests]
        assert paths == ["next", "response", "next", "error", "next"]
        assert running.answers() == [[]]


def test_a_runners_own_methods_are_called(tmp_path: Path) -> None:
    with function("lifecycle_functions:Hooked", [Event("one"), Event("two")], tmp_path) as running:
        running.wait_for_poll()
        running.process.send_signal(signal.SIGTERM)
        code, log, _ = running.end()
    assert code == 0
    lines = [line for line in log.splitlines() if line[-1].isdigit()]
    assert lines == ["after 1", "after 2", "shutdown 2", "shutdown 2", "shutdown 1"]


def test_without_anything_to_run_sigterm_ends_the_process_as_always(tmp_path: Path) -> None:
    with function("plain_functions.handler", [Event("one")], tmp_path) as running:
        running.wait_for_poll()
        running.process.send_signal(signal.SIGTERM)
        code, _, errors = running.end()
    assert code == -signal.SIGTERM
    assert errors == "told"


ASYNC = """
import asyncio, sys, fastlambda
from lifecycle_functions import Hooked
asyncio.run(fastlambda.exec_async(Hooked))
"""


def test_in_the_users_own_event_loop_sigterm_is_left_alone(tmp_path: Path) -> None:
    with Endpoint([Event("one")]) as endpoint:
        process = subprocess.Popen(
            [sys.executable, "-c", ASYNC],
            cwd=HERE,
            env=clean_env(AWS_LAMBDA_RUNTIME_API=endpoint.address),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert endpoint.waiting.wait(PATIENCE)
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
    assert process.returncode == -signal.SIGTERM
    assert out.splitlines()[-1] == b"after"


def test_snapstart_runs_the_hooks_and_opens_a_fresh_connection(tmp_path: Path) -> None:
    with function(
        "lifecycle_functions.pid", [Event("one")], tmp_path, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start"
    ) as running:
        running.wait_for_poll()
        requests = running.endpoint.requests
        assert [r.path.partition("/runtime/")[2] for r in requests[:2]] == ["restore/next", "invocation/next"]
        assert requests[0].connection != requests[1].connection
        assert running.log.startswith("before 2\nbefore 1\nrestored 1\nrestored 2\n")


@pytest.mark.parametrize(("phase", "code"), [("restore/next", 64)])
def test_a_refused_snapshot_is_reported_and_ends_with_64(phase: str, code: int, tmp_path: Path) -> None:
    with function(
        "lifecycle_functions.pid", [], tmp_path, {phase: 500}, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start"
    ) as running:
        status, _, _ = running.end()
        assert status == code
        report = running.endpoint.requests[-1]
        assert report.path.endswith("/init/error")
        assert report.header("Lambda-Runtime-Function-Error-Type") == "Runtime.BeforeSnapshotError"


# ---- the extension ------------------------------------------------------------------------------------------------


def serve_extension(server: socket.socket, heard: list[bytes], ready: threading.Event) -> None:
    """Takes one registration and the wait for an event on one connection; other connections get no answer."""
    connection, _ = server.accept()
    with connection:
        data = b""
        while b'{"events":[]}' not in data:
            data += connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: an-id\r\nContent-Length: 2\r\n\r\n{}")
        more = b""
        while b"\r\n\r\n" not in more:
            more += connection.recv(65536)
        heard += [data, more]
        poll, _ = server.accept()
        with poll:
            heard.append(poll.recv(65536))
            ready.set()
            poll.recv(1)


def test_the_option_registers_an_extension_and_parks_its_connection(tmp_path: Path) -> None:
    heard: list[bytes] = []
    ready = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve_extension, args=(server, heard, ready), daemon=True)
        thread.start()
        env = clean_env(
            AWS_LAMBDA_RUNTIME_API=f"127.0.0.1:{server.getsockname()[1]}", FASTLAMBDA_REGISTER_EXTENSION="1"
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "fastlambda", "lifecycle_functions.handler"],
            cwd=HERE,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            assert ready.wait(PATIENCE)
            process.send_signal(signal.SIGTERM)
            out, errors = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.wait()
        thread.join(PATIENCE)
    assert (process.returncode, out, errors) == (0, b"shutdown 2\nshutdown 1\n", b"")
    assert heard[0].startswith(b"POST /2020-01-01/extension/register HTTP/1.1\r\n")
    assert b"\r\nLambda-Extension-Name: fastlambda\r\n" in heard[0]
    assert heard[1].startswith(b"GET /2020-01-01/extension/event/next HTTP/1.1\r\n")
    assert b"\r\nLambda-Extension-Identifier: an-id\r\n" in heard[1]
    assert heard[2].startswith(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n")


# ---- logging ------------------------------------------------------------------------------------------------------


def test_a_function_that_never_logs_has_not_loaded_logging_and_its_prints_are_seen_at_once(tmp_path: Path) -> None:
    with function("plain_functions.handler", [Event("one"), Event("two", b'"end"')], tmp_path) as running:
        code, log, errors = running.end()
        assert running.answers() == [[]]
    assert (code, log, errors) == (0, "printed", "told")


def test_logging_is_configured_when_it_is_imported(tmp_path: Path) -> None:
    with function("plain_functions.logs", [Event("one"), Event("two")], tmp_path) as running:
        running.wait_for_poll()
        assert running.answers() == [
            [False, "SourceFileLoader", "gmtime"],
            [True, "SourceFileLoader", "gmtime"],
        ]
        lines = running.log.splitlines()
    assert [line.split("\t")[0::2] for line in lines] == [["[WARNING]", "one"], ["[WARNING]", "two"]]
    assert all(line.endswith("\tsold 3") for line in lines)


def test_logging_that_was_imported_first_is_configured_at_once(tmp_path: Path) -> None:
    program = "import logging; from fastlambda._core import main; main(['plain_functions.logs'])"
    with Endpoint([Event("one")]) as endpoint:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=HERE,
            env=clean_env(AWS_LAMBDA_RUNTIME_API=endpoint.address),
            stdout=subprocess.PIPE,
        )
        try:
            assert endpoint.waiting.wait(PATIENCE)
        finally:
            process.kill()
            out, _ = process.communicate()
    assert out.endswith(b"\tone\tsold 3\n")


def test_the_telemetry_descriptor_is_not_inherited(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    program = (
        "import os, subprocess, sys; from fastlambda._core import Config, Runtime, take_over\n"
        "take_over(Runtime(Config.from_env(), None))\n"
        f"print(os.get_inheritable({write_end}), '_LAMBDA_TELEMETRY_LOG_FD' in os.environ)"
    )
    try:
        found = subprocess.run(
            [sys.executable, "-c", program],
            env=clean_env(AWS_LAMBDA_RUNTIME_API="127.0.0.1:9", _LAMBDA_TELEMETRY_LOG_FD=str(write_end)),
            pass_fds=[write_end],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    finally:
        os.close(read_end)
        os.close(write_end)
    assert found == "False False\n"
