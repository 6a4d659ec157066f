"""One PUT: it goes to one place, costs little memory, and ends in time, whatever the server does."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from support import PATIENCE

from fastlambda.upload import MAX_ANSWER, BadUrl, put

Serve = Callable[[socket.socket], None]


def read_put(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data or not data.endswith(b"body"):
        more = connection.recv(65536)
        if not more:
            break
        data += more
    return data


@contextlib.contextmanager
def server(serve: Serve) -> Iterator[str]:
    """host:port of a server that gives each connection to `serve`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def loop() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.settimeout(PATIENCE)
                with connection, contextlib.suppress(OSError):
                    serve(connection)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(PATIENCE)


def test_a_put_is_what_a_presigned_url_was_signed_for() -> None:
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(read_put(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with server(serve) as address:
        assert put(f"http://{address}/a%2Fb/c?X=1%202&Y", b"body", PATIENCE) == 200
    (request,) = seen
    assert request.decode() == (
        f"PUT /a%2Fb/c?X=1%202&Y HTTP/1.1\r\nHost: {address}\r\nAccept-Encoding: identity\r\n"
        "Content-Length: 4\r\n\r\nbody"
    )


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_no_redirect_is_followed(status: int) -> None:
    strangers: list[bytes] = []
    n_asked = []

    def stranger(connection: socket.socket) -> None:
        strangers.append(read_put(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with server(stranger) as elsewhere:

        def serve(connection: socket.socket) -> None:
            read_put(connection)
            n_asked.append(1)
            head = f"HTTP/1.1 {status} X\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(head.encode())

        with server(serve) as address:
            assert put(f"http://{address}/", b"body", PATIENCE) == status
    assert (len(n_asked), strangers) == (1, [])


def test_a_large_answer_is_not_read() -> None:
    sent = []
    is_over = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_put(connection)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 629145600\r\n\r\n")
        try:
            for _ in range(600):
                connection.sendall(bytes(1 << 20))
                sent.append(1)
        finally:
            is_over.set()

    with server(serve) as address:
        assert put(f"http://{address}/", b"body", PATIENCE) == 403
        assert is_over.wait(PATIENCE)
    assert len(sent) < 64  # MiB: what sockets hold by themselves


@pytest.mark.parametrize(
    "piece", [b"X: y\r\n", b"x" * 1000, b"HTTP/1.1 100 Continue\r\n\r\n"], ids=["headers", "one header", "100"]
)
def test_an_answer_without_an_end_is_bounded_in_bytes(piece: bytes) -> None:
    sent = []
    is_over = threading.Event()

    def serve(connection: socket.socket) -> None:
        read_put(connection)
        if b"100" not in piece:
            connection.sendall(b"HTTP/1.1 200 OK\r\nA: ")
        try:
            for _ in range(200_000):
                connection.sendall(piece)
                sent.append(len(piece))
        finally:
            is_over.set()

    with server(serve) as address:
        with pytest.raises(ConnectionError, match=r"too long|no HTTP"):
            put(f"http://{address}/", b"body", PATIENCE)
        assert is_over.wait(PATIENCE)
    assert MAX_ANSWER // 2 < sum(sent) < 200_000 * len(piece)


def drips(data: bytes) -> Serve:
    """Sends the bytes one by one, over and over, until the other side has gone."""

    def serve(connection: socket.socket) -> None:
        read_put(connection)
        never = threading.Event()
        for n in range(int(PATIENCE / 0.02)):
            connection.sendall(data[n % len(data) :][:1])
            never.wait(0.02)

    return serve


DRIPS = {
    "a head that drips": drips(b"HTTP/1.1 200 OK\r\n" + b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n" * 99),
    "informational answers that drip": drips(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "silence": lambda connection: threading.Event().wait(2) and None,
}


@pytest.mark.parametrize("serve", DRIPS.values(), ids=DRIPS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_all_of_it_ends_at_one_moment(serve: Serve, scheme: str) -> None:
    with server(serve) as address, pytest.raises((TimeoutError, ConnectionError, OSError)) as caught:
        put(f"{scheme}://{address}/", b"body", 0.5)
    if scheme == "http" or serve is DRIPS["silence"]:
        assert isinstance(caught.value, TimeoutError)


def test_a_look_up_of_the_name_that_hangs_ends_then_too(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hangs(*args: object, **more: object) -> list[object]:
        over.wait(PATIENCE)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    with pytest.raises(TimeoutError):
        put("http://example.invalid/", b"body", 0.2)
    over.set()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "no HTTP"),
        (b"HTTP/1.1 2", "no HTTP"),
        (b"nonsense\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no HTTP"),
    ],
    ids=["nothing", "half a line", "nonsense", "another protocol", "a length that is none"],
)
def test_what_is_no_answer_is_an_error_that_may_pass(answer: bytes, words: str) -> None:
    def serve(connection: socket.socket) -> None:
        read_put(connection)
        connection.sendall(answer)

    with server(serve) as address, pytest.raises(ConnectionError, match=words):
        put(f"http://{address}/", b"body", PATIENCE)


@pytest.mark.parametrize(
    "url",
    ["", "x", "file:///etc/passwd", "ftp://h/", "http://", "http://h:x/", "http://h:99999/", "http://[::1/", "http://h/ü",
     "http://h/a b", "http://a..b/", "https://" + "x" * 70 + "/"],
)  # fmt: skip
def test_what_is_no_url_cannot_be_put_to_and_is_not_quoted(url: str) -> None:
    with pytest.raises(BadUrl, match=r"^is (no URL|neither http nor https)$") as caught:
        put(url, b"body", PATIENCE)
    assert not url or url not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
