"""One PUT to a presigned URL: what comes back is its status, and all of it ends at one moment.

Owns the connection, from the look-up of the host's name to the head of the answer.  Promises: nothing is sent anywhere
else than to the URL's own host, no redirect is followed; an answer costs at most MAX_ANSWER bytes of memory; nothing
that a server does, slow steps included, lasts longer than the given time; no part of the URL is in an exception.
Must not know: what is sent, who asks, when it is worth trying again.
Source: RFC 9110, section 15; h11 for the framing.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

# Head of an answer, informational ones before it included.  S3's has under 1 KB; the body is not read.
MAX_ANSWER = 32 * 1024


class BadUrl(Exception):
    """Trying again cannot help: the text is no URL that something can be PUT to."""


def preload() -> None:
    """Imports what put() needs, while there is memory for it."""
    for name in ("h11", "socket", "ssl", "threading", "urllib.parse"):
        __import__(name)


def put(url: str, body: bytes, timeout_s: float) -> int:
    """PUTs a body; the headers are few on purpose: a presigned URL is signed without a content type.

    Args:
        url: http or https.
        body: complete.
        timeout_s: for everything together.

    Returns:
        The answer's status; a redirect is an answer like any other.

    Raises:
        BadUrl: see there.
        OSError: there was no answer, or none that is HTTP; TimeoutError when time ran out.
    """
    import time
    from urllib.parse import urlsplit

    end = time.monotonic() + timeout_s
    try:
        parts = urlsplit(url)
        port, host = parts.port, (parts.hostname or "").encode("idna").decode()
        target = ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode("ascii")
    except ValueError:  # UnicodeError is one
        raise BadUrl("is no URL") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadUrl("is neither http nor https")
    named = f"[{host}]" if ":" in host else host
    request = _request(target, named if port is None else f"{named}:{port}", body)
    connection = _connect(host, port or (443 if parts.scheme == "https" else 80), end)
    try:
        if parts.scheme == "https":
            import ssl

            connection.settimeout(_left(end))
            connection = ssl.create_default_context().wrap_socket(connection, server_hostname=host)
        return _exchange(connection, *request, end)
    finally:
        connection.close()


def _left(end: float) -> float:
    """Seconds up to the end."""
    import time

    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _request(target: bytes, host: str, body: bytes) -> "tuple[Any, bytes]":
    """h11's side of the connection, and the bytes of the request."""
    import h11

    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER)
    headers = [("Host", host), ("Accept-Encoding", "identity"), ("Content-Length", str(len(body)))]
    try:
        pieces = [http.send(h11.Request(method="PUT", target=target, headers=headers))]
    except h11.LocalProtocolError:
        raise BadUrl("is no URL") from None
    pieces += [http.send(h11.Data(data=body)), http.send(h11.EndOfMessage())]
    return http, b"".join(piece or b"" for piece in pieces)


def _connect(host: str, port: int, end: float) -> "socket.socket":
    """A connection to the first of the host's addresses that takes one."""
    import socket

    failed: OSError = ConnectionError()
    for family, kind, protocol, _, address in _addresses(host, port, end):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(_left(end))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        except BaseException as exc:
            connection.close()
            if not isinstance(exc, OSError):
                raise
            failed = exc
    raise failed


def _addresses(host: str, port: int, end: float) -> "list[Any]":
    """What the host's name stands for: looked up in a thread, for a look-up knows no time limit."""
    import socket
    import threading

    found: list[Any] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as exc:
            failed.append(exc)
        except UnicodeError:
            failed.append(OSError("no host's name"))

    # Left behind when time runs out: it holds nothing, and ends with the process at the latest.
    thread = threading.Thread(target=look_up, name="look-up", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no more threads: without a limit is better than not at all
        look_up()
    else:
        thread.join(_left(end))
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found


def _exchange(connection: "socket.socket", http: "Any", request: bytes, end: float) -> int:
    """Sends the request and reads until the status of the answer proper is known."""
    import h11

    unsent = memoryview(request)
    while unsent:
        connection.settimeout(_left(end))
        unsent = unsent[connection.send(unsent) :]
    n_read = 0
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError:
            raise ConnectionError("what came is no HTTP") from None
        if isinstance(event, h11.Response):
            return int(event.status_code)
        if event is h11.NEED_DATA:
            connection.settimeout(_left(end))
            data = connection.recv(4096)
            n_read += len(data)
            if n_read > MAX_ANSWER:
                raise ConnectionError("the head of the answer is too long")
            http.receive_data(data)
        elif isinstance(event, h11.ConnectionClosed):
            raise ConnectionError("closed without an answer")
