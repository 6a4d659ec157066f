# ruff: noqa: E501  (tables of bytes)
"""h11 is the authority: for any bytes in any cuts, a Channel gives h11's status, headers, body and end, or an error.

The same bytes go to a Channel with the native scanner and to one that uses h11 for everything, over real sockets: that
covers declines in mid-stream, where the Channel frames again what it has read.
"""

from __future__ import annotations

import array
import fcntl
import itertools
import random
import socket
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import PATIENCE, ROOT

from fastlambda._core import Channel
from fastlambda._h11 import read_response
from fastlambda.errors import FastlambdaError, RuntimeApiError

ID = b"Lambda-Runtime-Aws-Request-Id: id-1\r\n"


class Feeder:
    """Answers each request on each connection with the bytes that it was given, in the given reads, then closes."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.parts: list[bytes] = []
        self.channel: Channel | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                try:
                    if not connection.recv(4096):
                        return
                    for part in self.parts:
                        connection.sendall(part)
                        self._wait_until_read(connection)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(4096):
                        pass
                except OSError:
                    pass

    def _wait_until_read(self, connection: socket.socket) -> None:
        """Until the client has taken a part, so that the next one is a read of its own; not for ever."""
        for _ in range(2000):
            fd = self.channel.fileno() if self.channel else -1
            try:
                if fd < 0 or not unread(fd):
                    return
            except OSError:
                return

    def close(self) -> None:
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join(PATIENCE)
        self._listener.close()


def unread(fd: int) -> int:
    """Bytes that wait in a socket's receive buffer."""
    waiting = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, waiting)
    return waiting[0]


@pytest.fixture(scope="module")
def feeder() -> Iterator[Feeder]:
    made = Feeder()
    yield made
    made.close()


@dataclass
class Seen:
    """What a Channel made of a stream."""

    error: bool
    http_status: int = 0
    body: bytes = b""
    fields: tuple[object, ...] = ()


def through_channel(feeder: Feeder, parts: list[bytes], http: str | None) -> Seen:
    feeder.parts = parts
    channel = feeder.channel = Channel(feeder.address, http)
    try:
        inv = channel.next()
    except RuntimeApiError as exc:
        return Seen(False, exc.http_status, str(exc).partition(f"{exc.http_status}: ")[2].encode())
    except FastlambdaError:
        return Seen(True)
    finally:
        channel.close()
    return Seen(False, 200, inv.body, (inv.request_id, inv.deadline_ms, inv.trace_id, inv.content_type))


def through_h11(parts: list[bytes]) -> Seen:
    left = iter([*parts, b"", b""])
    try:
        answer = read_response(lambda: next(left), b"", True, 1 << 28, "-")
    except FastlambdaError:
        return Seen(True)
    return Seen(False, answer.http_status, answer.body)


def cut(data: bytes, points: list[int]) -> list[bytes]:
    marks = sorted({p % (len(data) + 1) for p in points} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(marks)]


PIECES = st.sampled_from(
    [b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b";", b"0", b"1", b"5", b"a", b"F", b"\0", b"\xff", b"-", b",", b"\r\n\r\n",
     b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: keep-alive\r\n",
     b"HTTP/1.1 ", b"HTTP/1.0 ", b"200", b"100", b"204", b"304", b"500", b"Lambda-Runtime-Trace-Id: t\r\n",
     b"Lambda-Runtime-Deadline-Ms: 12\r\n", b"Content-Type: a/b\r\n", b";a=b", b"0\r\n", b"5\r\nhello\r\n", b" x"]
)  # fmt: skip


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """A valid response, framed in one of the ways that a server may."""
    body = draw(st.binary(max_size=60))
    status = draw(st.sampled_from([b"200 OK", b"200 ", b"202 Accepted", b"413 X", b"500 Y"]))
    extra = draw(
        st.lists(
            st.sampled_from(
                [b"Content-Type: application/json\r\n", b"Lambda-Runtime-Trace-Id:  t u \r\n", b"A:\r\n", b"A: b\r\n c\r\n",
                 b"Lambda-Runtime-Deadline-Ms: 1542409706888\r\n", b"Connection: close\r\n", b"X: \xe9\r\n"]
            ),
            max_size=4,
        )
    )  # fmt: skip
    head = b"HTTP/1.1 " + status + b"\r\n" + ID + b"".join(extra)
    framing = draw(st.sampled_from(["length", "chunks", "odd chunks", "close"]))
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "close":
        return head + b"\r\n" + body
    data = head + b"Transfer-Encoding: chunked\r\n\r\n"
    at = 0
    while at < len(body):
        n = draw(st.integers(1, len(body) - at))
        extension = draw(st.sampled_from([b"", b"", b";a", b';a="b"'])) if framing == "odd chunks" else b""
        zeros = draw(st.sampled_from([b"", b"", b"0", b"0" * 9])) if framing == "odd chunks" else b""
        data += zeros + b"%x" % n + extension + b"\r\n" + body[at : at + n] + b"\r\n"
        at += n
    trailer = draw(st.sampled_from([b"", b"", b"T: u\r\n"])) if framing == "odd chunks" else b""
    return data + b"0\r\n" + trailer + b"\r\n"


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A valid response in which something was put in, taken out or repeated."""
    data = draw(responses())
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 6)))
        how = draw(st.sampled_from(["insert", "delete", "replace", "repeat", "cut"]))
        if how == "insert":
            data = data[:at] + draw(PIECES) + data[at:]
        elif how == "delete":
            data = data[:at] + data[end:]
        elif how == "replace":
            data = data[:at] + draw(PIECES) + data[end:]
        elif how == "repeat":
            data = data[:end] + data[at:]
        else:
            data = data[:at]
    return data


STREAMS = st.one_of(
    responses(), mutated(), mutated(), st.lists(PIECES, max_size=25).map(b"".join), st.binary(max_size=80)
)
RELAXED = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@RELAXED
@given(data=STREAMS, points=st.lists(st.integers(0, 400), max_size=6))
def test_a_channel_reads_what_h11_reads(feeder: Feeder, data: bytes, points: list[int]) -> None:
    parts = cut(data, points)
    native = through_channel(feeder, parts, None)
    assert native == through_channel(feeder, parts, "h11")
    alone = through_h11(parts)
    if not native.error and native.http_status == 200:
        assert (alone.error, alone.http_status, alone.body) == (False, 200, native.body)
    elif alone.error:
        assert native.error


@RELAXED
@given(data=responses(), points=st.lists(st.integers(0, 400), max_size=6))
def test_a_valid_response_is_never_an_error(feeder: Feeder, data: bytes, points: list[int]) -> None:
    assert not through_channel(feeder, cut(data, points), None).error


CORPUS = sorted([*(ROOT / "fuzz/corpus/head").iterdir(), *(ROOT / "fuzz/corpus/chunks").iterdir()])


@pytest.mark.parametrize("path", CORPUS, ids=[f"{p.parent.name}-{p.name}" for p in CORPUS])
def test_the_fuzzers_corpus_reads_as_h11_reads_it(path: Path, feeder: Feeder) -> None:
    data = path.read_bytes()[1:]
    if path.parent.name == "chunks":
        data = b"HTTP/1.1 200 OK\r\n" + ID + b"Transfer-Encoding: chunked\r\n\r\n" + data
    for seed in range(3):
        points = random.Random(seed).choices(range(400), k=seed * 3)
        native = through_channel(feeder, cut(data, points), None)
        assert native == through_channel(feeder, cut(data, points), "h11"), f"cut by seed {seed}"


HANDOVERS = {
    "before the first chunk": b"5;a\r\nhello\r\n0\r\n\r\n",
    "before a later chunk": b"2\r\nhe\r\n3;a\r\nllo\r\n0\r\n\r\n",
    "before a later chunk, several read": b"1\r\nh\r\n1\r\ne\r\n003;a\r\nllo\r\n0\r\n\r\n",
    "before the last chunk": b"5\r\nhello\r\n0;a\r\n\r\n",
    "before trailers": b"5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    "before trailers of an empty body": b"0\r\nA: b\r\n\r\n",
    "no line end after a chunk, what follows would be one": b"5\r\nhello0\r\n\r\n",
    "a line feed after a chunk": b"5\r\nhello\n0\r\n\r\n",
    "a carriage return after a chunk, then a size": b"5\r\nhello\r0\r\n\r\n",
    "two line ends after a chunk": b"5\r\nhello\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", HANDOVERS)
def test_a_decline_in_mid_stream_goes_on_where_it_was(name: str, feeder: Feeder) -> None:
    data = b"HTTP/1.1 200 OK\r\n" + ID + b"Transfer-Encoding: chunked\r\n\r\n" + HANDOVERS[name]
    expected = through_channel(feeder, [data], "h11")
    for at in range(len(data) - len(HANDOVERS[name]) - 2, len(data)):
        assert through_channel(feeder, [data[:at], data[at:]], None) == expected, f"cut at {at}"
