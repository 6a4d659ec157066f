"""What may become of a posted answer: taken once, or told; never sent twice, never lost without a word."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest
from support import ACCEPTED, Peer, ScriptedServer, answer_with, event_answer, read_request

from fastlambda._core import Channel, Config, Runtime
from fastlambda.errors import ProtocolError, RuntimeApiError, TransportError, UsageError

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"
RESPONSE = b"POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\n"
ERROR = b"POST /2018-06-01/runtime/invocation/%s/error HTTP/1.1\r\n"
Script = Callable[[socket.socket], None]

# Answers to a POST that mean success.
TAKEN = {
    "202": ACCEPTED,
    "200": answer_with(b"200 OK"),
    "202 in chunks": b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "202 with trailers": b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: b\r\n\r\n",
    "100, then 202": b"HTTP/1.1 100 Continue\r\n\r\n" + ACCEPTED,
    "202 without a body": b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
}


def runtime(server: ScriptedServer, http_mode: str, call: Callable[[object], object] | None = None) -> Runtime:
    return Runtime(
        Config(runtime_api=server.address, http=http_mode), lambda event, context: call(event) if call else event
    )


@pytest.mark.parametrize("name", TAKEN)
def test_an_answer_that_says_yes_is_followed_by_a_poll(name: str, http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        for request_id in (b"a", b"b"):
            peer.expect(NEXT)
            peer.send(event_answer(b"1", request_id.decode()))
            peer.expect(RESPONSE % request_id)
            peer.send(TAKEN[name])

    with ScriptedServer(script) as server:
        runtime(server, http_mode).serve(2)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 408, 409, 422, 429])
def test_a_refused_result_is_told_and_its_event_never_runs_again(
    status: int, http_mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A server that did not take the result hands the same event out again: it is failed."""

    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"1", "a"))
        peer.expect(RESPONSE % b"a")
        peer.send(answer_with(b"%d No" % status, b"because"))
        peer.expect(NEXT)
        peer.send(event_answer(b"1", "a"))
        assert b"Runtime.ResponseRefused" in peer.expect(ERROR % b"a")
        peer.send(ACCEPTED)
        peer.expect(NEXT)
        peer.send(event_answer(b"2", "b"))
        peer.expect(RESPONSE % b"b")
        peer.send(ACCEPTED)

    seen: list[object] = []
    with ScriptedServer(script) as server:
        runtime(server, http_mode, seen.append).serve(2)
    assert seen == [1, 2]
    assert f"POST invocation/a/response at {server.address} was answered with {status}" in capfd.readouterr().err


def test_another_attempt_at_a_refused_event_runs(http_mode: str) -> None:
    """The request id is the same, the invocation id is not."""

    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        for attempt, answer in (("x", answer_with(b"400 No")), ("y", ACCEPTED)):
            peer.expect(NEXT)
            peer.send(event_answer(b"1", "a", [f"Lambda-Runtime-Invocation-Id: {attempt}"]))
            peer.expect(RESPONSE % b"a")
            peer.send(answer)

    seen: list[object] = []
    with ScriptedServer(script) as server:
        runtime(server, http_mode, seen.append).serve(2)
    assert seen == [1, 1]


@pytest.mark.parametrize("status", [410, 413])
def test_a_result_that_the_server_has_finished_is_told_and_not_posted_again(
    status: int, http_mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same id may then come again, as a new attempt: it runs."""

    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        for _ in range(2):
            peer.expect(NEXT)
            peer.send(event_answer(b"1", "a"))
            peer.expect(RESPONSE % b"a")
            peer.send(answer_with(b"%d No" % status))

    seen: list[object] = []
    with ScriptedServer(script) as server:
        runtime(server, http_mode, seen.append).serve(2)
    assert seen == [1, 1]
    assert capfd.readouterr().err.count(f"was answered with {status}") == 2


@pytest.mark.parametrize("status", [404, 405, 500, 502, 503])
def test_a_broken_server_ends_the_loop(status: int, http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"1", "a"))
        peer.expect(RESPONSE % b"a")
        peer.send(answer_with(b"%d No" % status, b"because"))

    with ScriptedServer(script) as server, pytest.raises(RuntimeApiError, match=f"a/response .*{status}: b'because'"):
        runtime(server, http_mode).serve(2)


def closes_unread(connection: socket.socket) -> None:
    """Gives an event; the connection is closed while its handler runs."""
    read_request(connection)
    connection.sendall(event_answer(b"1", "a"))


def reads_and_closes(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(event_answer(b"1", "a"))
    read_request(connection)


def reads_and_resets(connection: socket.socket) -> None:
    reads_and_closes(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reads_a_part_and_closes(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(event_answer(b"1", "a"))
    connection.recv(10)


def takes(connection: socket.socket) -> None:
    head, body = read_request(connection)
    assert head.startswith(RESPONSE.strip() % b"a")
    assert body == b'"done"'
    connection.sendall(ACCEPTED)


@pytest.mark.parametrize("pipeline", [False, True])
def test_a_result_is_posted_again_when_the_server_closed_before_it_came(pipeline: bool, http_mode: str) -> None:
    closed = closing(closes_unread)

    def takes_all(connection: socket.socket) -> None:
        peer = Peer(connection)
        assert peer.expect(RESPONSE % b"a") == b'"done"'
        if pipeline:
            peer.expect(NEXT)
            peer.send(ACCEPTED + event_answer(b"2", "b"))
        else:
            peer.send(ACCEPTED)
            peer.expect(NEXT)
            peer.send(event_answer(b"2", "b"))
        peer.expect(RESPONSE % b"b")
        peer.send(ACCEPTED)

    with ScriptedServer(closed.script, takes_all) as server:
        config = Config(runtime_api=server.address, http=http_mode, pipeline=pipeline)
        Runtime(config, lambda event, context: (event == 1 and closed.wait()) or "done").serve(2)


class closing:
    """A script, and a wait until its connection is closed and that has arrived here."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._peer: tuple[str, int] = ("", 0)

    def script(self, connection: socket.socket) -> None:
        self._own, self._peer = connection.getsockname(), connection.getpeername()
        self._script(connection)

    def wait(self) -> None:
        """Until the client's side of the connection has seen the end (CLOSE_WAIT in the kernel's table)."""
        client = f"0100007F:{self._peer[1]:04X} 0100007F:{self._own[1]:04X} 08"
        while True:
            with open("/proc/net/tcp") as table:
                if any(client in line for line in table):
                    return


@pytest.mark.parametrize(
    "dies", [reads_and_closes, reads_and_resets, reads_a_part_and_closes], ids=lambda script: script.__name__
)
def test_a_result_that_may_have_been_read_is_never_posted_again(dies: Script, http_mode: str) -> None:
    with ScriptedServer(dies) as server, pytest.raises(TransportError, match="posting to the Runtime API at"):
        # Connections after the first are refused: a second attempt would say so.
        runtime(server, http_mode, lambda event: "done").serve(2)


def test_the_same_holds_for_errors(http_mode: str, capfd: pytest.CaptureFixture[str]) -> None:
    def handler(event: object) -> object:
        raise ValueError("as asked")

    with ScriptedServer(reads_and_closes) as server, pytest.raises(TransportError, match="posting to"):
        runtime(server, http_mode, handler).serve(2)
    assert "ValueError: as asked" in capfd.readouterr().out


def test_a_server_that_answers_early_and_closes_is_heard(http_mode: str, capfd: pytest.CaptureFixture[str]) -> None:
    """413 and close while the result is still being sent: the next event comes over a new connection."""

    def early(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer(b"1", "a"))
        connection.recv(1000)
        connection.sendall(answer_with(b"413 Request Entity Too Large", more=b"Connection: close\r\n"))
        connection.shutdown(socket.SHUT_WR)  # as Go's server does: no reset before the answer is read

        connection.recv(65536)

    def then(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"2", "b"))
        peer.expect(RESPONSE % b"b")
        peer.send(ACCEPTED)

    with ScriptedServer(early, then) as server:
        runtime(server, http_mode, lambda event: "x" * 16_000_000 if event == 1 else 2).serve(2)
    assert "was answered with 413" in capfd.readouterr().err


def test_a_server_that_answers_early_and_reads_no_more_is_heard(
    http_mode: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """It keeps the connection open: without a look at its answer the write would wait for ever."""
    ended = []

    def early(connection: socket.socket) -> None:
        read_request(connection)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(event_answer(b"1", "a"))
        connection.recv(1000)
        connection.sendall(answer_with(b"413 Request Entity Too Large"))
        held.append(connection.dup())

    def then(connection: socket.socket) -> None:
        ended.append(held.pop().close())
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"2", "b"))
        peer.expect(RESPONSE % b"b")
        peer.send(ACCEPTED)

    held: list[socket.socket] = []
    with ScriptedServer(early, then) as server:
        runtime(server, http_mode, lambda event: "x" * 64_000_000 if event == 1 else 2).serve(2)
    assert "was answered with 413" in capfd.readouterr().err


def test_a_slow_reader_gets_everything(http_mode: str) -> None:
    """The send buffer is full most of the time."""
    result = "0123456789abcdef" * 1_000_000
    got = bytearray()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer(b"1", "a"))
        while not got.endswith(b'f"'):
            got.extend(connection.recv(32768))
        connection.sendall(ACCEPTED)

    with ScriptedServer(script) as server:
        runtime(server, http_mode, lambda event: result).serve(1)
    assert got.partition(b"\r\n\r\n")[2] == b'"' + result.encode() + b'"'


@pytest.mark.parametrize(
    "answer",
    [b"garbage", b"HTTP/1.1 202 Accepted\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"\x15\x03\x01"],
    ids=["garbage", "two lengths", "TLS"],
)
def test_a_bad_answer_to_a_post_is_told(answer: bytes, http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer(b"1", "a"))
        read_request(connection)
        connection.sendall(answer)
        assert connection.recv(1) == b""

    with ScriptedServer(script) as server, pytest.raises(ProtocolError, match=r"not HTTP"):
        runtime(server, http_mode).serve(2)


HOSTILE = {
    "line breaks": b"a\x0bX: y",
    "blanks": b"a b HTTP/1.1",
    "slashes": b"../../x?y#z",
    "not ASCII": b"\xc3\xa9\xff",
    "percent": b"%0d%0aX: y",
}


@pytest.mark.parametrize("name", ["blanks", "slashes", "not ASCII", "percent"])
def test_a_request_id_cannot_break_out_of_the_request_line(name: str, http_mode: str) -> None:
    request_id = HOSTILE[name]
    encoded = b"".join(
        bytes([c]) if chr(c).isascii() and (chr(c).isalnum() or chr(c) in "-._~") else b"%%%02X" % c for c in request_id
    )

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer(b"1", "@@").replace(b"@@", request_id))
        head, _ = read_request(connection)
        assert head.startswith(RESPONSE % encoded), head
        assert head.count(b"\r\n") == 4  # Host, User-Agent, Content-Type, Content-Length
        connection.sendall(ACCEPTED)

    with ScriptedServer(script) as server:
        runtime(server, http_mode).serve(1)


def test_an_error_type_cannot_break_out_of_its_header(http_mode: str) -> None:
    evil = type("A\r\nX: y\u00e9", (Exception,), {})

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer(b"1", "a"))
        head, body = read_request(connection)
        assert b"Lambda-Runtime-Function-Error-Type: A??X??y?\r\n" in head, head
        assert b"\r\nX:" not in head
        assert b'"errorType": "A\\r\\nX: y\\u00e9"' in body
        connection.sendall(ACCEPTED)

    def handler(event: object) -> object:
        raise evil("m\r\nY: z")

    with ScriptedServer(script) as server:
        runtime(server, http_mode, handler).serve(1)


def test_an_error_document_stays_far_below_the_servers_limit(http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer(b"1", "a"))
        head, body = read_request(connection)
        assert len(body) < 1_200_000
        assert len(head) < 65536
        connection.sendall(ACCEPTED)

    def handler(event: object) -> object:
        error = ValueError("x" * 10_000_000)
        for n in range(60):
            following = ValueError(f"{n}" + "y" * 10_000_000)
            following.__cause__ = error
            error = following
        raise error

    with ScriptedServer(script) as server:
        runtime(server, http_mode, handler).serve(1)


def test_a_poll_under_way_is_not_taken_for_the_answer_to_a_post(http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"1", "a"))
        peer.expect(NEXT)
        peer.send(event_answer(b"2", "b"))

    with ScriptedServer(script) as server:
        channel = Channel(server.address, http_mode)
        inv = channel.next()
        channel.start_next()
        with pytest.raises(UsageError, match="poll under way"):
            channel.post_error(inv, b"{}", b"Content-Type: application/json\r\n")
        assert channel.next().request_id == "b"
        channel.close()
