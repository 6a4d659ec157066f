# ruff: noqa: E501  (a table of bytes)
"""What a server may answer to GET invocation/next: the event as it was meant, or a clear refusal; never a wait."""

from __future__ import annotations

import array
import errno
import fcntl
import os
import re
import resource
import socket
import struct
import sys
import termios
import threading
from collections.abc import Callable

import pytest
from support import ScriptedServer, read_request

from fastlambda._core import Channel
from fastlambda.errors import FastlambdaError, TransportError

ID = b"Lambda-Runtime-Aws-Request-Id: id-1\r\n"
OK = b"HTTP/1.1 200 OK\r\n" + ID
LENGTH = b"Content-Length: 7\r\n"
BODY = b'{"a":1}'
CHUNKED = b"Transfer-Encoding: chunked\r\n"

# Name, bytes, whether the server closes after them: the event is BODY.
GOOD: dict[str, tuple[bytes, bool]] = {
    "length": (OK + LENGTH + b"\r\n" + BODY, False),
    "one chunk": (OK + CHUNKED + b"\r\n7\r\n" + BODY + b"\r\n0\r\n\r\n", False),
    "chunks of one byte": (
        OK + CHUNKED + b"\r\n" + b"".join(b"1\r\n%c\r\n" % c for c in BODY) + b"0\r\n\r\n",
        False,
    ),
    "100 before": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + LENGTH + b"\r\n" + BODY, False),
    "several 1xx before": (
        b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" * 5 + OK + LENGTH + b"\r\n" + BODY,
        False,
    ),
    "HTTP/1.0 with a length": (OK.replace(b"1.1", b"1.0") + LENGTH + b"\r\n" + BODY, False),
    "HTTP/2.0 in the words of 1.1": (OK.replace(b"1.1", b"2.0") + LENGTH + b"\r\n" + BODY, False),
    "HTTP/1.0 until the end": (OK.replace(b"1.1", b"1.0") + b"\r\n" + BODY, True),
    "HTTP/1.1 until the end": (OK + b"\r\n" + BODY, True),
    "close is announced": (OK + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY, True),
    "close is announced and the server waits": (OK + b"Connection: close\r\n" + LENGTH + b"\r\n" + BODY, False),
    "chunk extension": (OK + CHUNKED + b"\r\n3\r\n" + BODY[:3] + b'\r\n4;a="b"\r\n' + BODY[3:] + b"\r\n0\r\n\r\n", False),
    "trailers": (OK + CHUNKED + b"\r\n7\r\n" + BODY + b"\r\n0\r\nA: b\r\nC: d\r\n\r\n", False),
    "twenty digits of chunk size": (OK + CHUNKED + b"\r\n" + b"7".zfill(20) + b"\r\n" + BODY + b"\r\n0\r\n\r\n", False),
    "bare line feeds": ((OK + LENGTH + b"\r\n").replace(b"\r\n", b"\n") + BODY, False),
    "folded header": (OK + b"A: b\r\n c\r\n\td\r\n" + LENGTH + b"\r\n" + BODY, False),
    "70 headers": (OK + b"".join(b"H%d: v\r\n" % n for n in range(70)) + LENGTH + b"\r\n" + BODY, False),
    "64 KB header": (OK + b"A: " + b"x" * 65536 + b"\r\n" + LENGTH + b"\r\n" + BODY, False),
    "1 MB header": (OK + b"A: " + b"x" * 1_000_000 + b"\r\n" + LENGTH + b"\r\n" + BODY, False),
    "a list of equal lengths": (OK + b"Content-Length: 7, 7\r\n\r\n" + BODY, False),
    "the same length twice": (OK + LENGTH + LENGTH + b"\r\n" + BODY, False),
    "both framings": (OK + LENGTH + CHUNKED + b"\r\n7\r\n" + BODY + b"\r\n0\r\n\r\n", False),
    "no reason": (b"HTTP/1.1 200\r\n" + ID + LENGTH + b"\r\n" + BODY, False),
    "lower-case names": ((ID + LENGTH).lower().join([b"HTTP/1.1 200 OK\r\n", b"\r\n"]) + BODY, False),
    "blanks around values": (OK + b"Content-Length: \t 7 \t\r\n\r\n" + BODY, False),
    "no deadline": (OK + LENGTH + b"\r\n" + BODY, False),
    "a deadline in the past": (OK + b"Lambda-Runtime-Deadline-Ms: 1\r\n" + LENGTH + b"\r\n" + BODY, False),
    "a deadline that is no number": (OK + b"Lambda-Runtime-Deadline-Ms: -1e9\r\n" + LENGTH + b"\r\n" + BODY, False),
    "a deadline beyond 64 bits": (OK + b"Lambda-Runtime-Deadline-Ms: " + b"9" * 30 + b"\r\n" + LENGTH + b"\r\n" + BODY, False),
    "not ASCII in a header": (OK + b"Lambda-Runtime-Trace-Id: \xc3\xa9\xff\r\n" + LENGTH + b"\r\n" + BODY, False),
}  # fmt: skip

# Name, bytes, whether the server closes after them (else it stays and waits), what the message says.
BAD: dict[str, tuple[bytes, bool, str]] = {
    "garbage": (b"\x00\xff\x00garbage", False, "not HTTP"),
    "garbage that begins well": (b"HTTPS?", False, "not HTTP"),
    "TLS alert": (b"\x15\x03\x01\x00\x02\x02\x0a", False, "not HTTP"),
    "blank lines": (b"\r\n\r\n", False, "not HTTP"),
    "HTTP/2 settings": (b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", False, "not HTTP"),
    "status of two digits": (b"HTTP/1.1 20 OK\r\n" + ID + LENGTH + b"\r\n" + BODY, False, "not HTTP"),
    "status 999": (b"HTTP/1.1 999 No\r\n" + ID + LENGTH + b"\r\n" + BODY, False, "999"),
    "status 204": (b"HTTP/1.1 204 No Content\r\n" + ID + b"\r\n", False, "204"),
    "status 101": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", False, "not HTTP"),
    "1xx without end": (b"HTTP/1.1 100 Continue\r\n\r\n" * 2000, False, "informational"),
    "closed at once": (b"", True, "closed"),
    "head cut in the status line": (OK[:12], True, "closed|HTTP"),
    "head cut in a name": (OK[:25], True, "closed|HTTP"),
    "head cut before the blank line": (OK + LENGTH, True, "closed|HTTP"),
    "body cut": (OK + LENGTH + b"\r\n" + BODY[:-1], True, "closed|without sending"),
    "body missing": (OK + LENGTH + b"\r\n", True, "closed|without sending"),
    "chunk cut": (OK + CHUNKED + b"\r\n7\r\n" + BODY[:-1], True, "closed|without sending"),
    "last chunk missing": (OK + CHUNKED + b"\r\n7\r\n" + BODY + b"\r\n", True, "closed|without sending"),
    "end of the last chunk missing": (OK + CHUNKED + b"\r\n7\r\n" + BODY + b"\r\n0\r\n", True, "closed|without sending"),
    "trailers cut": (OK + CHUNKED + b"\r\n7\r\n" + BODY + b"\r\n0\r\nA: b\r\n", True, "closed|without sending"),
    "two lengths": (OK + LENGTH + b"Content-Length: 8\r\n\r\n" + BODY, False, "(?i)content-length"),
    "a list of two lengths": (OK + b"Content-Length: 7, 8\r\n\r\n" + BODY, False, "(?i)content-length"),
    "negative length": (OK + b"Content-Length: -7\r\n\r\n" + BODY, False, "(?i)content-length"),
    "signed length": (OK + b"Content-Length: +7\r\n\r\n" + BODY, False, "(?i)content-length"),
    "length in hexadecimal": (OK + b"Content-Length: 0x7\r\n\r\n" + BODY, False, "(?i)content-length"),
    "length in words": (OK + b"Content-Length: seven\r\n\r\n" + BODY, False, "(?i)content-length"),
    "empty length": (OK + b"Content-Length:\r\n\r\n" + BODY, False, "(?i)content-length"),
    "length of 300 MB": (OK + b"Content-Length: 300000000\r\n\r\n" + BODY, False, "300000000 bytes"),
    "length of 20 digits": (OK + b"Content-Length: 99999999999999999999\r\n\r\n", False, "9999 bytes"),
    "length of 21 digits": (OK + b"Content-Length: " + b"9" * 21 + b"\r\n\r\n", False, "(?i)content-length"),
    "an unknown coding": (OK + b"Transfer-Encoding: gzip\r\n\r\n" + BODY, False, "(?i)transfer-encoding"),
    "two codings": (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + BODY, False, "(?i)transfer-encoding"),
    "chunk size of 17 digits": (OK + CHUNKED + b"\r\n1" + b"0" * 16 + b"\r\n", True, "closed|without sending|over"),
    "chunk size of 21 digits": (OK + CHUNKED + b"\r\n1" + b"0" * 20 + b"\r\n", False, "not HTTP"),
    "chunk size over the cap": (OK + CHUNKED + b"\r\nfffffff\r\n", True, "closed|without sending|over"),
    "negative chunk size": (OK + CHUNKED + b"\r\n-7\r\n" + BODY + b"\r\n", False, "not HTTP"),
    "no chunk size": (OK + CHUNKED + b"\r\n\r\n" + BODY + b"\r\n", False, "not HTTP"),
    "no line end after a chunk": (OK + CHUNKED + b"\r\n7\r\n" + BODY + b"XX0\r\n\r\n", False, "not HTTP"),
    "NUL in a header": (OK + b"A: b\0c\r\n" + LENGTH + b"\r\n" + BODY, False, "not HTTP"),
    "carriage return in a header": (OK + b"A: b\rc\r\n" + LENGTH + b"\r\n" + BODY, False, "not HTTP"),
    "blank before the colon": (OK + b"A : b\r\n" + LENGTH + b"\r\n" + BODY, False, "not HTTP"),
    "header without a name": (OK + b": b\r\n" + LENGTH + b"\r\n" + BODY, False, "not HTTP"),
    "header without a colon": (OK + b"A\r\n" + LENGTH + b"\r\n" + BODY, False, "not HTTP"),
    "fold in the first header": (b"HTTP/1.1 200 OK\r\n a: b\r\n" + ID + LENGTH + b"\r\n" + BODY, False, "not HTTP"),
    "3 MB of header": (OK + b"A: " + b"x" * 3_000_000, False, "not HTTP.*too (long|much)|not HTTP"),
    "no request id": (b"HTTP/1.1 200 OK\r\n" + LENGTH + b"\r\n" + BODY, False, "without Lambda-Runtime-Aws-Request-Id"),
    "empty request id": (b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: \r\n" + LENGTH + b"\r\n" + BODY, False, "without"),
    "invocation id not ASCII": (OK + b"Lambda-Runtime-Invocation-Id: \xe9\r\n" + LENGTH + b"\r\n" + BODY, False, "cannot be sent back"),
    "invocation id with a tab": (OK + b"Lambda-Runtime-Invocation-Id: a\tb\r\n" + LENGTH + b"\r\n" + BODY, False, "cannot be sent back"),
}  # fmt: skip
for _status in (301, 400, 401, 403, 404, 405, 408, 410, 429, 500, 502, 503, 504):
    BAD[f"status {_status}"] = (
        b"HTTP/1.1 %d X\r\nContent-Length: 4\r\n\r\nwhy?" % _status,
        False,
        f"GET invocation/next at .* was answered with {_status}: b'why\\?'",
    )


def answering(data: bytes, closes: bool) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        try:
            connection.sendall(data)
            if not closes:
                while connection.recv(65536):
                    pass
        except (ConnectionResetError, BrokenPipeError):
            pass  # the client saw enough

    return script


@pytest.mark.parametrize("name", GOOD)
def test_a_good_answer_is_understood(name: str, http_mode: str) -> None:
    data, closes = GOOD[name]
    with ScriptedServer(answering(data, closes)) as server:
        channel = Channel(server.address, http_mode)
        inv = channel.next()
        channel.close()
    assert (inv.body, inv.request_id) == (BODY, "id-1")
    assert inv.deadline_ms == (1 if name == "a deadline in the past" else 0)
    assert inv.trace_id == ("\xc3\xa9\xff" if name == "not ASCII in a header" else None)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_is_refused_with_its_reason(name: str, http_mode: str) -> None:
    data, closes, message = BAD[name]
    scripts = [answering(data, closes)] * (2 if name == "closed at once" else 1)
    with ScriptedServer(*scripts) as server:
        channel = Channel(server.address, http_mode)
        with pytest.raises(FastlambdaError) as raised:
            channel.next()
        assert channel.fileno() == -1 or "was answered with" in str(raised.value) or "sent" in str(raised.value)
        channel.close()
    assert re.search(message, str(raised.value)), str(raised.value)
    assert server.address in str(raised.value)
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(
    "headers",
    [b"Lambda-Runtime-Trace-Id: first\r\nLambda-Runtime-Trace-Id: second\r\n", b"LAMBDA-RUNTIME-TRACE-ID:first\r\n"],
    ids=["repeated", "upper case"],
)
def test_the_first_of_a_field_counts(headers: bytes, http_mode: str) -> None:
    with ScriptedServer(answering(OK + headers + LENGTH + b"\r\n" + BODY, False)) as server:
        channel = Channel(server.address, http_mode)
        assert channel.next().trace_id == "first"
        channel.close()


def test_a_64_kb_header_stays_off_h11() -> None:
    """The client context may be 64 KB long: its head is the scanner's, and so are events of every size."""
    sys.modules.pop("fastlambda._h11", None)
    with ScriptedServer(answering(GOOD["64 KB header"][0], False)) as server:
        channel = Channel(server.address)
        channel.next()
        channel.close()
    assert "fastlambda._h11" not in sys.modules
    with ScriptedServer(answering(GOOD["1 MB header"][0], False)) as server:
        channel = Channel(server.address)
        channel.next()
        channel.close()
    assert "fastlambda._h11" in sys.modules


def unread(fd: int) -> int:
    waiting = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, waiting)
    return waiting[0]


@pytest.mark.parametrize("name", ["length", "one chunk", "chunks of one byte", "trailers", "100 before"])
def test_an_answer_split_anywhere_is_the_same(name: str, http_mode: str) -> None:
    """Every offset once: the second part is sent when the first has been received."""
    data = GOOD[name][0]
    channel: Channel

    def script(connection: socket.socket) -> None:
        for at in range(1, len(data)):
            read_request(connection)
            connection.sendall(data[:at])
            while unread(channel.fileno()):
                pass
            connection.sendall(data[at:])

    with ScriptedServer(script) as server:
        channel = Channel(server.address, http_mode)
        for at in range(1, len(data)):
            assert channel.next().body == BODY, f"split at {at}"
    channel.close()


def test_an_answer_one_byte_at_a_time_is_the_same(http_mode: str) -> None:
    channel: Channel

    def script(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for name in ("length", "one chunk", "folded header"):
            read_request(connection)
            for byte in GOOD[name][0]:
                connection.sendall(bytes([byte]))
                while unread(channel.fileno()):
                    pass

    with ScriptedServer(script) as server:
        channel = Channel(server.address, http_mode)
        for _ in range(3):
            assert channel.next().body == BODY
    channel.close()


def test_bytes_that_nobody_asked_for_are_not_the_next_answer(http_mode: str) -> None:
    planted = OK + LENGTH + b"\r\n" + b'{"a":9}'

    def first(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(GOOD["length"][0] + planted)
        assert connection.recv(1) == b"", "the connection is used again"

    with ScriptedServer(first, answering(GOOD["length"][0], False)) as server:
        channel = Channel(server.address, http_mode)
        assert [channel.next().body, channel.next().body] == [BODY, BODY]
        channel.close()


def test_a_poll_waits_as_long_as_it_takes(http_mode: str) -> None:
    """Longer than the regular look at signals: nothing here is a limit."""
    looked = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        looked.wait(0.35)  # passes three times NET_LOOK_UP_MS; nothing depends on how long it is
        connection.sendall(GOOD["length"][0])

    with ScriptedServer(script) as server:
        channel = Channel(server.address, http_mode)
        assert channel.next().body == BODY
        channel.close()


def gives_an_event(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(GOOD["length"][0])


def dies_in_a_poll(connection: socket.socket) -> None:
    read_request(connection)


def dies_in_the_second_poll(connection: socket.socket) -> None:
    gives_an_event(connection)
    read_request(connection)


def resets_in_a_poll(connection: socket.socket) -> None:
    read_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    ("scripts", "n_events"),
    [
        ((gives_an_event, gives_an_event), 2),
        ((dies_in_the_second_poll, gives_an_event), 2),
        ((dies_in_a_poll, gives_an_event), 1),
        ((resets_in_a_poll, gives_an_event), 1),
    ],
    ids=["closed between polls", "closed in a poll", "closed in the first poll", "reset in a poll"],
)
def test_a_poll_whose_connection_dies_is_repeated_once(
    scripts: tuple[Callable[[socket.socket], None], ...], n_events: int, http_mode: str
) -> None:
    with ScriptedServer(*scripts) as server:
        channel = Channel(server.address, http_mode)
        for _ in range(n_events):
            assert channel.next().body == BODY
        channel.close()


def test_a_poll_that_dies_twice_is_told(http_mode: str) -> None:
    with ScriptedServer(dies_in_a_poll, dies_in_a_poll) as server:
        channel = Channel(server.address, http_mode)
        with pytest.raises(TransportError, match=r"waiting for an event from .*: the connection was closed"):
            channel.next()


def test_a_reset_in_an_answer_is_told(http_mode: str) -> None:
    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK + LENGTH + b"\r\n" + BODY[:3])
        while unread(channel.fileno()):
            pass
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with ScriptedServer(script) as server:
        channel = Channel(server.address, http_mode)
        with pytest.raises(TransportError, match="Connection reset by peer"):
            channel.next()


def test_out_of_descriptors_is_told(http_mode: str) -> None:
    held: list[int] = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        try:
            for _ in range(256):
                try:
                    held.append(os.dup(0))
                except OSError:
                    break
            with pytest.raises(OSError, match=r"connecting to the Runtime API at 127.0.0.1") as raised:
                Channel(address, http_mode).next()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in held:
                os.close(fd)
    assert raised.value.errno == errno.EMFILE


def test_nobody_listens_is_told(http_mode: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    with pytest.raises(TransportError, match=r"connecting to .*Connection refused .is AWS_LAMBDA_RUNTIME_API right"):
        Channel(address, http_mode).next()
