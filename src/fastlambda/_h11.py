"""One answer as h11 reads it: the authority for whatever the scanner declines, and the oracle of its tests.

Owns no socket: it is given what has come so far and a function that brings more.  Promises: an answer, or a
ProtocolError that says what h11 objects to.  Must not know: the Runtime API.
Source: RFC 9112, as h11 reads it.
"""

import h11

from fastlambda.errors import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# A head may hold a client context of 64 KB several times over; h11's own 16 KB would refuse it.
MAX_HEAD = 2 * 1024 * 1024
# Informational answers before the final one; a server that sends more of them will never come to it.
MAX_INFORMATIONAL = 100


class Answer:
    """What was read: `rest` are bytes of the connection that follow the answer."""

    __slots__ = ("body", "headers", "http_status", "is_close", "rest")

    def __init__(
        self, http_status: int, headers: list[tuple[bytes, bytes]], body: bytes, is_close: bool, rest: bytes
    ) -> None:
        self.http_status = http_status
        self.headers = headers
        self.body = body
        self.is_close = is_close
        self.rest = rest


def _client(is_get: bool) -> h11.Connection:
    """A connection on which one bodyless request has gone out."""
    conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
    method = "GET" if is_get else "POST"
    conn.send(h11.Request(method=method, target="/", headers=[("Host", "-"), ("Content-Length", "0")]))
    conn.send(h11.EndOfMessage())
    return conn


def read_response(
    receive: "Callable[[], bytes]", received: bytes, is_get: bool, max_body: int, runtime_api: str
) -> Answer:
    """Reads one final answer; informational ones before it are passed over.

    Args:
        receive: brings more bytes; b"" at the end of the stream.
        received: the bytes of this answer that have come already.
        is_get: whether the request was a GET, else a POST.
        max_body: bytes; a longer body is refused.
        runtime_api: host:port, for messages.

    Raises:
        ProtocolError: what came is not an HTTP/1.x answer, is cut, or is too large.
    """
    conn = _client(is_get)
    response: h11.Response | None = None
    body: list[bytes] = []
    size = n_informational = 0
    begun = b""  # the first bytes of all
    try:
        while True:
            event = conn.next_event()
            if event is h11.NEED_DATA:
                data, received = received or receive(), b""
                if len(begun) < 5:
                    begun += data[:5]
                    # h11 would wait for the blank line that ends a head, which such a peer may never send.
                    if begun[:5] != b"HTTP/"[: len(begun)]:
                        raise ProtocolError(f"the Runtime API at {runtime_api} sent what is not HTTP: {data[:64]!r}")
                conn.receive_data(data)
            elif isinstance(event, h11.InformationalResponse):
                n_informational += 1
                if n_informational > MAX_INFORMATIONAL:
                    raise ProtocolError(f"the Runtime API at {runtime_api} sends informational answers without end")
            elif isinstance(event, h11.Response):
                response = event
                announced = dict(event.headers).get(b"content-length", b"0")
                if int(announced) > max_body:
                    raise ProtocolError(f"the Runtime API at {runtime_api} announced a body of {int(announced)} bytes")
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > max_body:
                    raise ProtocolError(f"the Runtime API at {runtime_api} sends a body of over {max_body} bytes")
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
            elif isinstance(event, h11.ConnectionClosed):
                raise ProtocolError(f"the Runtime API at {runtime_api} closed the connection before its answer")
    except h11.RemoteProtocolError as exc:
        raise ProtocolError(f"the Runtime API at {runtime_api} sent what is not HTTP/1.1: {exc}") from None
    assert response is not None
    rest, closed = conn.trailing_data
    is_close = closed or conn.their_state is not h11.DONE or conn.our_state is not h11.DONE
    return Answer(response.status_code, list(response.headers), b"".join(body), is_close, rest)
