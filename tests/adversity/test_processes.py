"""Whole processes under faults: the right answer, or a clear message on stderr and a non-zero exit."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ACCEPTED, PATIENCE, Peer, ScriptedServer, answer_with, clean_env, event_answer

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"
RESPONSE = b"POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\n"
ERROR = b"POST /2018-06-01/runtime/invocation/%s/error HTTP/1.1\r\n"


class Function:
    """A function's process, ended on leaving the block."""

    def __init__(self, address: str, http_mode: str, target: str, n_files: int | None = None) -> None:
        env = clean_env(
            PYTHONPATH=str(Path(__file__).parent), FASTLAMBDA_HTTP=http_mode, AWS_LAMBDA_RUNTIME_API=address
        )

        def limit() -> None:
            if n_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (n_files, n_files))

        self.process = subprocess.Popen(
            [sys.executable, "-m", "fastlambda", target],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=limit,
        )

    def end(self) -> tuple[int, str]:
        """Exit code, and what was written to stderr."""
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err.decode()

    def __enter__(self) -> Function:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()


def result_of(peer: Peer, event: bytes, request_id: str = "a") -> bytes:
    """One invocation that has to succeed."""
    peer.expect(NEXT)
    peer.send(event_answer(event, request_id))
    body = peer.expect(RESPONSE % request_id.encode())
    peer.send(ACCEPTED)
    return body


def run(script: Callable[[socket.socket], None], http_mode: str, target: str) -> tuple[int, str]:
    """Exit code and stderr of a process whose server plays `script` and is gone afterwards."""
    with ScriptedServer(script) as server, Function(server.address, http_mode, target) as function:
        return function.end()


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_refused_poll_ends_the_process_with_one_line(status: int, http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(answer_with(b"%d No" % status, b"because"))

    code, err = run(script, http_mode, "faulty.echo")
    assert code == 1
    assert err.startswith("fastlambda: GET invocation/next at 127.0.0.1:"), err
    assert f"was answered with {status}: b'because'" in err
    assert err.count("\n") == 1


def test_a_server_that_goes_away_ends_the_process_with_one_line(http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        assert result_of(Peer(connection), b"1") == b"1"

    code, err = run(script, http_mode, "faulty.echo")
    assert code == 1
    assert "connecting to the Runtime API at 127.0.0.1:" in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "answer",
    [answer_with(b"403 Forbidden"), answer_with(b"500 Internal Server Error"), b"garbage", b""],
    ids=["403", "500", "garbage", "closed"],
)
def test_an_init_error_that_is_not_taken_is_told(answer: bytes, http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        assert b"Runtime.ImportModuleError" in peer.expect(b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\n")
        peer.send(answer)

    code, err = run(script, http_mode, "no_such_module.handler")
    assert code == 1
    assert "fastlambda: " in err
    assert "Traceback" not in err


def test_an_init_error_without_a_server_is_told(http_mode: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with Function(address, http_mode, "no_such_module.handler") as function:
        code, err = function.end()
    assert code == 1
    assert "connecting to the Runtime API" in err


def test_sigterm_is_handled_while_polling(http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        result_of(peer, b"1")
        peer.expect(NEXT)
        os.kill(function.process.pid, signal.SIGTERM)
        assert connection.recv(1) == b"", "the process polls on"

    with ScriptedServer(script) as server, Function(server.address, http_mode, "faulty.listens_to_sigterm") as function:
        code, err = function.end()
    assert (code, err) == (7, "handler of SIGTERM ran\n")


def test_signals_at_any_point_change_nothing(http_mode: str) -> None:
    """A timer ticks all through connecting, polling, receiving and sending large bodies."""
    big = json.dumps("x" * 3_000_000).encode()

    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        assert result_of(peer, b'"start"') == b'"started"'
        for n in range(20):
            event = big if n % 5 == 0 else b'"%d"' % n
            peer.expect(NEXT)
            answer = event_answer(event, "a", chunked=n % 2 == 0)
            for at in range(0, len(answer), 100_000):
                peer.send(answer[at : at + 100_000])
            assert peer.expect(RESPONSE % b"a") == event
            peer.send(ACCEPTED)
        assert int(result_of(peer, b'"stop"')) > 10

    code, err = run(script, http_mode, "faulty.is_ticked")
    assert (code, err.count("\n")) == (1, 1), err


@pytest.mark.parametrize(
    ("target", "answer", "message"),
    [
        ("forks_and_returns", None, "child"),
        ("forks_and_raises", b"1", "child"),
        ("forks_and_exits", b"5", ""),
    ],
)
def test_a_child_never_answers_for_its_parent(target: str, answer: bytes | None, message: str, http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        for _ in range(3):
            body = result_of(peer, b"1")
            assert body == (answer or b'{"pid":%d}' % function.process.pid).replace(b": ", b":"), body

    with ScriptedServer(script) as server, Function(server.address, http_mode, f"faulty.{target}") as function:
        code, err = function.end()
    assert code == 1
    assert message in err


def test_a_child_that_comes_back_into_the_poll_does_not_take_its_parents_event(http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        pid = int(result_of(peer, b"1"))
        peer.expect(NEXT)
        os.kill(pid, signal.SIGUSR1)
        said = b""
        assert function.process.stderr is not None
        while b"a forked child must not use its parent's connection" not in said:
            said += function.process.stderr.readline()
        peer.send(event_answer(b"2", "b"))
        assert int(peer.expect(RESPONSE % b"b")) == pid
        peer.send(ACCEPTED)

    with ScriptedServer(script) as server:
        function = Function(server.address, http_mode, "faulty.forks_in_a_signal")
    with function:
        assert function.end()[0] == 1


@pytest.mark.parametrize("how", ["return", "raise"])
def test_a_function_that_leaks_descriptors_is_answered_and_told(how: str, http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(json.dumps(how).encode(), "a"))
        if how == "return":
            assert peer.expect(RESPONSE % b"a") == b"true"
        else:
            assert b"Too many open files" in peer.expect(ERROR % b"a")
        peer.send(ACCEPTED)

    with ScriptedServer(script) as server, Function(server.address, http_mode, "faulty.leaks", 64) as function:
        code, err = function.end()
    assert code == 1
    assert ("connecting to" if how == "return" else "Too many open files") in err, err


def test_a_signal_that_does_not_wake_the_poll_is_handled_all_the_same(http_mode: str, tmp_path: Path) -> None:
    """It is delivered to another thread: as one that comes just before recv(2) sleeps, it interrupts nothing."""
    mark = tmp_path / "now"

    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        result_of(peer, json.dumps(str(mark)).encode())
        peer.expect(NEXT)
        mark.touch()
        assert connection.recv(1) == b"", "the process polls on"

    with (
        ScriptedServer(script) as server,
        Function(server.address, http_mode, "faulty.signals_another_thread") as function,
    ):
        assert function.end() == (7, "handler of SIGTERM ran\n")
