"""A function that closes the runtime's descriptor: what was meant for the Runtime API goes there, and nowhere else.

Each foreigner that may get the number, in each phase.  A listener among them accepts whatever it is sent as the Runtime
API would, and serves events of its own.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guarded import LocalFunction
from support import ACCEPTED, PATIENCE, event_answer

from fastlambda.local.machine import State

KINDS = ["listener", "file", "pipe", "nothing"]


class Foreigner:
    """Takes what it gets, and answers it as the Runtime API would."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.received = b""
        self.file = folder / "foreign"
        self.file.touch()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        host, port = self.server.getsockname()
        self.where = f"{host}:{port}" if kind == "listener" else str(self.file)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # of a test that has ended
            connection.sendall(event_answer(b'{"do": "plain", "value": "executed a foreigner\'s event"}', "foreign"))
            while piece := connection.recv(65536):
                self.received += piece
                connection.sendall(ACCEPTED)

    def event(self, do: str, **more: Any) -> bytes:
        return json.dumps({"do": do, "kind": self.kind, "where": self.where, **more}).encode()

    def got(self) -> bytes:
        return self.received + self.file.read_bytes()

    def close(self) -> None:
        self.server.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture(params=KINDS)
def foreigner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Foreigner]:
    foreigner = Foreigner(request.param, tmp_path)
    yield foreigner
    foreigner.close()


@pytest.fixture
def function(tmp_path: Path) -> Iterator[LocalFunction]:
    with LocalFunction("foreign_functions.handler", tmp_path) as function:
        yield function


def plain(function: LocalFunction, value: str) -> Any:
    event = json.dumps({"do": "plain", "value": value}).encode()
    return function.api.invoke(event, timeout_s=PATIENCE).json()


def goes_on(function: LocalFunction, foreigner: Foreigner, told: str = "is opened again") -> None:
    """The same process answers the next events, once each; the foreigner has seen nothing, and is open."""
    assert plain(function, "next") == "next"
    assert plain(function, "over next") == "over next"
    assert function.exit_codes == []
    assert foreigner.got() == b""
    assert told in function.log
    assert function.log.count("os.closerange") == 1, "told once"
    assert all(function.ask("kept")), "the function's own descriptor was closed"


def test_a_result_arrives_at_the_runtime_api(function: LocalFunction, foreigner: Foreigner) -> None:
    assert function.api.invoke(foreigner.event("result"), timeout_s=PATIENCE).json() == "the result"
    goes_on(function, foreigner)


def test_an_error_arrives_at_the_runtime_api(function: LocalFunction, foreigner: Foreigner) -> None:
    result = function.api.invoke(foreigner.event("error"), timeout_s=PATIENCE)
    assert result.error["errorMessage"] == "the error"
    goes_on(function, foreigner)


def test_a_stream_arrives_at_the_runtime_api(function: LocalFunction, foreigner: Foreigner) -> None:
    result = function.api.invoke(foreigner.event("stream"), timeout_s=PATIENCE)
    assert (result.ok, result.body) == (True, b"the stream")
    goes_on(function, foreigner)


def test_a_stream_that_has_begun_ends_where_its_connection_did(function: LocalFunction, foreigner: Foreigner) -> None:
    """Nobody can go on with it: the caller sees it cut off, the log says why, the next event is answered."""
    result = function.api.invoke(foreigner.event("mid_stream"), timeout_s=PATIENCE)
    assert not result.ok
    assert plain(function, "next") == "next"
    assert foreigner.got() == b""
    assert function.exit_codes == []
    assert "was cut off after 4 bytes" in function.log
    assert "os.closerange" in function.log


def test_what_runs_after_the_response_may_take_the_number(function: LocalFunction, foreigner: Foreigner) -> None:
    assert function.api.invoke(foreigner.event("after"), timeout_s=PATIENCE).json() == "the result"
    goes_on(function, foreigner)


def test_a_poll_under_way_is_sent_again(function: LocalFunction, foreigner: Foreigner, tmp_path: Path) -> None:
    mark = tmp_path / "now"
    assert function.api.invoke(foreigner.event("poll", mark=str(mark)), timeout_s=PATIENCE).json() == "the result"
    function.api.wait_state(State.READY)
    mark.touch()
    end = time.monotonic() + PATIENCE
    while mark.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    goes_on(function, foreigner)


def test_the_guards_last_word_arrives_at_the_runtime_api(function: LocalFunction, foreigner: Foreigner) -> None:
    result = function.api.invoke(foreigner.event("hang"), timeout_s=2)
    assert result.error_type == "Runtime.InvocationTimeout", result
    assert plain(function, "next") == "next"
    assert function.exit_codes == [124]
    assert "; reported)" in function.log
    assert foreigner.got() == b""
