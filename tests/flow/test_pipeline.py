"""The result and the next poll in one write: right for every status that a result can be answered with."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from functions_env import functions_env
from support import ACCEPTED, AwsServer, Peer, ScriptedServer, answer_with, event_answer, read_request

from fastlambda._core import Config, Runtime
from fastlambda.errors import ProtocolError, RuntimeApiError

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"


def serve(server: ScriptedServer, limit: int, seen: list[object]) -> None:
    def call(event: object, context: object) -> object:
        seen.append(event)
        return event

    Runtime(Config(runtime_api=server.address, pipeline=True), call).serve(limit)


def test_result_and_next_poll_leave_in_one_write() -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer(b"1", "a"))
        data = connection.recv(65536)
        assert data.startswith(b"POST /2018-06-01/runtime/invocation/a/response")
        assert NEXT in data, "the next poll is not in the write of the result"
        connection.sendall(ACCEPTED + event_answer(b"2", "b"))
        peer = Peer(connection)
        assert peer.expect(b"POST /2018-06-01/runtime/invocation/b/response") == b"2"
        assert peer.pending == b"", "the last of a limited number is not followed by a poll"
        peer.send(ACCEPTED)

    seen: list[object] = []
    with ScriptedServer(script) as server:
        serve(server, 2, seen)
    assert seen == [1, 2]


@pytest.mark.parametrize("status", [b"400 Bad Request", b"403 Forbidden"])
def test_after_a_refusal_the_same_event_is_failed_and_not_run_again(
    status: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"1", "a"))
        peer.expect(b"POST /2018-06-01/runtime/invocation/a/response")
        peer.send(answer_with(status))
        peer.expect(NEXT)
        peer.send(event_answer(b"1", "a"))
        assert b'"Runtime.ResponseRefused"' in peer.expect(b"POST /2018-06-01/runtime/invocation/a/error")
        peer.send(ACCEPTED)
        peer.expect(NEXT)
        peer.send(event_answer(b"2", "b"))
        peer.expect(b"POST /2018-06-01/runtime/invocation/b/response")
        peer.send(ACCEPTED)

    seen: list[object] = []
    with ScriptedServer(script) as server:
        serve(server, 2, seen)
    assert seen == [1, 2]
    assert "POST invocation/a/response" in capfd.readouterr().err


def test_a_server_that_never_takes_a_result_ends_the_loop(capfd: pytest.CaptureFixture[str]) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        for _ in range(3):
            peer.send(event_answer(b"1", "a"))
            peer.expect(b"POST /2018-06-01/runtime/invocation/a/")
            peer.send(answer_with(b"400 Bad Request"))
            peer.expect(NEXT)
            if _ == 2:
                break
        peer.send(event_answer(b"1", "a"))

    seen: list[object] = []
    with ScriptedServer(script) as server, pytest.raises(ProtocolError, match="again and again"):
        serve(server, 5, seen)
    assert seen == [1]


def test_a_result_too_large_is_finished_by_the_server() -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"1", "a"))
        peer.expect(b"POST /2018-06-01/runtime/invocation/a/response")
        peer.send(answer_with(b"413 Request Entity Too Large"))
        peer.expect(NEXT)
        peer.send(event_answer(b"2", "b"))
        peer.expect(b"POST /2018-06-01/runtime/invocation/b/response")
        peer.send(ACCEPTED)

    seen: list[object] = []
    with ScriptedServer(script) as server:
        serve(server, 2, seen)
    assert seen == [1, 2]


def test_500_ends_the_loop() -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"1", "a"))
        peer.expect(b"POST /2018-06-01/runtime/invocation/a/response")
        peer.send(answer_with(b"500 Internal Server Error"))

    with ScriptedServer(script) as server, pytest.raises(RuntimeApiError, match="500"):
        serve(server, 2, [])


def test_a_connection_closed_after_the_202_loses_only_the_poll() -> None:
    def first(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"1", "a"))
        peer.expect(b"POST /2018-06-01/runtime/invocation/a/response")
        peer.send(answer_with(b"202 Accepted", more=b"Connection: close\r\n"))

    def dropped(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"2", "b"))
        peer.expect(b"POST /2018-06-01/runtime/invocation/b/response")
        peer.send(ACCEPTED)

    def last(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"3", "c"))
        peer.expect(b"POST /2018-06-01/runtime/invocation/c/response")
        peer.send(ACCEPTED)

    seen: list[object] = []
    with ScriptedServer(first, dropped, last) as server:
        serve(server, 3, seen)
    assert seen == [1, 2, 3]


def test_an_error_is_followed_by_a_poll_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"not json", "a"))
        assert b"Runtime.UnmarshalError" in peer.expect(b"POST /2018-06-01/runtime/invocation/a/error")
        assert peer.pending == b""
        peer.send(ACCEPTED)
        peer.expect(NEXT)
        peer.send(event_answer(b"2", "b"))
        peer.expect(b"POST /2018-06-01/runtime/invocation/b/response")
        peer.send(ACCEPTED)

    seen: list[object] = []
    with ScriptedServer(script) as server:
        serve(server, 2, seen)
    assert seen == [2]


def test_bodies_over_the_socket_buffer_pass() -> None:
    big = b'"' + b"x" * 5_900_000 + b'"'

    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        for name in ("a", "b"):
            peer.send(event_answer(big, name, chunked=True))
            assert peer.expect(b"POST /2018-06-01/runtime/invocation/" + name.encode()) == big
            peer.send(ACCEPTED)
            if name == "a":
                peer.expect(NEXT)

    with ScriptedServer(script) as server:
        serve(server, 2, [])


def test_aws_server_takes_them_one_after_the_other(tmp_path: Path) -> None:
    env = functions_env(FASTLAMBDA_PIPELINE="1")
    with AwsServer([sys.executable, "-m", "fastlambda", "functions.echo"], env, tmp_path) as server:
        for n in range(300):
            event = b'{"n":%d,"pad":"%s"}' % (n, b"p" * (n * 37 % 5000))
            assert server.invoke(event) == (200, event)
