"""Streamed results: what users declare, and how a stream is written, ended and broken off.

Owns the body of a streamed response.  Promises: a chunk is on the wire when it is yielded; an error after the first
byte ends the stream with trailers; what was cut off never looks complete.  Loaded by the first stream of a process.
Must not know: sockets, who calls the handler.
Not called streaming.py: importing that would put the module in the place of the decorator `fastlambda.streaming`.
Source: Runtime API contract, "Response streaming"; RFC 9112, section 7.1.
"""

from fastlambda.errors import (
    ErrorReport,
    FastlambdaError,
    StreamClosed,
    UsageError,
    check_interruption,
    complain,
)

try:
    from fastlambda._core import Stream
except ImportError as exc:
    from fastlambda._broken import explain

    explain(exc)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping
    from typing import Any, TypeVar, overload

    from fastlambda._core import Channel, Invocation, Runtime

    Chunk = bytes | bytearray | memoryview | str
    Body = Iterable["Chunk | HttpStream"] | AsyncIterable["Chunk | HttpStream"] | Chunk
    H = TypeVar("H", bound=Callable[..., Any])

BYTES = "application/octet-stream"
HTTP = "application/vnd.awslambda.http-integration-response"
SEPARATOR = bytes(8)

# Channel.stream_state, see _core.pyx.
NONE, BEGUN, SENT, BROKEN = range(4)

# Go's net/http reads a body's trailers through a buffer of 4096 bytes and refuses longer ones as "suspiciously long".
# This many bytes of error document leave room in it for base64 and for the names.
MAX_TRAILER_DOCUMENT = 2700


class HttpStream:
    """Status, headers and cookies of an HTTP response whose body is streamed.

    For function URLs in RESPONSE_STREAM mode and API Gateway's streamed integrations.  It goes out with the first
    chunk, in front of it.

    Args:
        status: 100 to 599.
        headers: name to value, or (name, value) pairs.  Values of a name that comes several times are joined with
            commas, but for Set-Cookie, which goes to the cookies.
        cookies: complete Set-Cookie values.

    Raises:
        UsageError: a status, name or value that HTTP does not have.
    """

    __slots__ = ("cookies", "headers", "status")

    def __init__(
        self,
        status: int = 200,
        headers: "Mapping[str, str] | Iterable[tuple[str, str]]" = (),
        cookies: "Iterable[str]" = (),
    ) -> None:
        if type(status) is not int or not 100 <= status <= 599:
            raise UsageError(f"an HTTP status is an int from 100 to 599, not {status!r}")
        self.status = status
        self.cookies = list(cookies)
        names: dict[str, str] = {}
        values: dict[str, list[str]] = {}
        for name, value in headers.items() if hasattr(headers, "items") else headers:
            _check_header(name, value)
            lower = name.lower()
            if lower == "set-cookie":
                self.cookies.append(value)
            else:
                values.setdefault(names.setdefault(lower, name), []).append(value)
        self.headers = {name: ", ".join(several) for name, several in values.items()}
        for cookie in self.cookies:
            _check_header("set-cookie", cookie)
        if "content-type" not in names:
            self.headers["content-type"] = BYTES

    def prelude(self) -> "tuple[bytes, bytes]":
        """What comes before the body on the wire: a chunk of JSON and one of eight NUL bytes.

        The Rust client has the same chunks; cargo-lambda's server takes a prelude in no other form.
        """
        from _json import encode_basestring_ascii as quote

        headers = ",".join(f"{quote(name)}:{quote(value)}" for name, value in self.headers.items())
        cookies = ",".join(map(quote, self.cookies))
        text = f'{{"statusCode":{self.status},"headers":{{{headers}}},"cookies":[{cookies}]}}'
        return text.encode("ascii"), SEPARATOR

    def __repr__(self) -> str:
        return f"HttpStream({self.status}, {self.headers!r}, {self.cookies!r})"


def _check_header(name: object, value: object) -> None:
    if not isinstance(name, str) or not isinstance(value, str):
        raise UsageError(f"headers are text: {name!r}: {value!r}")
    if not name or not name.isascii() or not name.isprintable() or " " in name or ":" in name:
        raise UsageError(f"not a header's name: {name!r}")
    if "\r" in value or "\n" in value or "\0" in value:
        raise UsageError(f"not a header's value, of {name}: {value!r}")


class _Collected:
    """Stands in for the Channel where no server is: keeps what would have been sent."""

    stream_state = NONE
    stream_len = 0

    def __init__(self) -> None:
        self.chunks: list[bytes] = []

    def begin_stream(self, inv: object, headers: bytes, preface: "tuple[bytes, ...]" = ()) -> None:
        self.chunks += preface
        self.stream_state = BEGUN

    def write_chunk(self, data: "Chunk") -> int:
        self.chunks.append(data.encode() if isinstance(data, str) else bytes(data))
        self.stream_state = SENT
        self.stream_len += len(self.chunks[-1])
        return len(self.chunks[-1])

    def end_stream(self, trailers: bytes = b"") -> "tuple[int, bytes]":
        self.stream_state = NONE
        return 202, b""

    def break_stream(self) -> None:
        self.stream_state = BROKEN


class ResponseStream:
    """The result of one invocation, written piece by piece; made by `context.response_stream()`.

    A context manager: leaving the block closes the stream, unless it is left by an exception, which then ends the
    stream as an error when it leaves the handler.

    Attributes:
        is_closed: nothing more can be written.
        sent_len: bytes of the body written so far, without those that wait to be coalesced.
    """

    def __init__(
        self,
        inv: "Invocation",
        content_type: "str | None",
        http: "HttpStream | None",
        coalesce_bytes: int,
        coalesce_ms: float,
    ) -> None:
        if content_type is not None:
            _check_header("content-type", content_type)
        if coalesce_bytes < 0 or (coalesce_bytes > 0) != (coalesce_ms > 0):
            raise UsageError("coalescing needs both bounds: coalesce_bytes and coalesce_ms")
        self._inv = inv
        self._channel: Channel | _Collected = inv.channel or _Collected()
        self._content_type = content_type
        self._http = http
        self._waiting = _Waiting(self._send, coalesce_bytes, coalesce_ms / 1000) if coalesce_bytes else None
        self._is_begun = False
        self._answer: tuple[int, bytes] | None = None
        self.is_closed = False

    def write(self, data: "Chunk | HttpStream") -> int:
        """Sends one chunk; it is on its way when this returns, and this blocks while the receiver is slow.

        Args:
            data: bytes, or text to be sent as UTF-8; an HttpStream only before all else.

        Returns:
            The chunk's length in bytes; for text, in characters when it waits to be coalesced.

        Raises:
            StreamClosed: the receiver's side has ended the connection; nothing more can be sent.
            UsageError: the stream is closed, or has begun without HTTP headers.
            TypeError: `data` is neither bytes nor text.
        """
        if self.is_closed:
            raise UsageError("the stream is closed")
        if not isinstance(data, (bytes, str)):
            if isinstance(data, HttpStream):
                self._set_http(data)
                return 0
            if not isinstance(data, (bytearray, memoryview)):
                raise TypeError(f"a stream's chunks are bytes or str, not {type(data).__name__}")
        if self._waiting is not None:
            return self._waiting.add(data)
        return self._send(data)

    def flush(self) -> None:
        """Sends what waits: coalesced chunks, and the HTTP headers when there is no body yet."""
        if self._waiting is not None:
            self._waiting.flush()
        if self._http is not None and not self._is_begun:
            self._send(b"")

    def close(self) -> None:
        """Ends the stream as complete; may be called twice."""
        if self.is_closed:
            return
        self.flush()
        if not self._is_begun:
            self._begin()
        check_interruption()  # what was interrupted is not complete
        self.is_closed = True
        self._stop()
        self._answer = self._channel.end_stream()

    def __enter__(self) -> "ResponseStream":
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is None:
            self.close()

    # -- for this module and the loop -------------------------------------------------------------------------------

    def _set_http(self, http: HttpStream) -> None:
        if self._is_begun or self._http is not None:
            raise UsageError("an HttpStream is the first thing that a stream is given")
        self._http = http
        # With a body still to come its head must not wait for it: the caller may be waiting for just that.
        if self._waiting is None:
            self._send(b"")

    def _begin(self) -> None:
        content_type = HTTP if self._http is not None else self._content_type or BYTES
        headers = (
            f"Content-Type: {content_type}\r\n"
            "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Type\r\n"
            "Trailer: Lambda-Runtime-Function-Error-Body\r\n"
        )
        preface = self._http.prelude() if self._http is not None else ()
        self._channel.begin_stream(self._inv, headers.encode("latin-1"), preface)
        self._is_begun = True

    def _send(self, data: "Chunk") -> int:
        if not self._is_begun:
            self._begin()
        return self._channel.write_chunk(data)

    @property
    def sent_len(self) -> int:
        return self._channel.stream_len

    def _stop(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()

    def _collected(self) -> bytes:
        return b"".join(self._channel.chunks) if isinstance(self._channel, _Collected) else b""

    def _settle(self, runtime: "Runtime") -> None:
        """Takes note of how the Runtime API answered."""
        if self._answer is not None:
            runtime.settle(self._inv, *self._answer)

    def _fail(self, exc: BaseException) -> bool:
        """Ends the stream because of `exc`; False: nothing was sent, the error is to be reported as any other."""
        self._stop()
        request_id = self._inv.request_id or ""
        if self._answer is not None:
            ErrorReport(exc, request_id).log()
            complain(f"the handler failed after its stream was complete, which the caller is not told ({request_id})")
            return True
        self.is_closed = True
        state = self._channel.stream_state
        if not self._is_begun or state == BEGUN:
            self._inv.stream = None
            return False
        if state == NONE:
            complain(f"{exc}; whether the stream of invocation {request_id} arrived is not known")
            self._answer = (0, b"")  # should its event come again, it is not run again
            return True
        report = ErrorReport(exc, request_id)
        if not isinstance(exc, StreamClosed):
            report.log()
        if state == SENT:
            try:
                self._answer = self._channel.end_stream(_trailers(report))
            except FastlambdaError as failed:
                complain(str(failed))
        else:
            why = f"{exc}; " if isinstance(exc, StreamClosed) else ""
            complain(f"{why}the stream of invocation {request_id} was cut off after {self.sent_len} bytes")
        return True


def _trailers(report: ErrorReport) -> bytes:
    """The error's type and its document, cut to what the server reads."""
    from binascii import b2a_base64

    body = b2a_base64(report.short_body(MAX_TRAILER_DOCUMENT), newline=False)
    return report.type_header + b"Lambda-Runtime-Function-Error-Body: " + body + b"\r\n"


class _Waiting:
    """Small chunks that wait for each other: bound in bytes by the one who writes, in time by a thread.

    Args:
        send: takes bytes.
        size: sent when this many bytes have come together.
        seconds: that the first of them waits at most.
    """

    def __init__(self, send: "Callable[[bytes], int]", size: int, seconds: float) -> None:
        from threading import Condition, Thread
        from time import monotonic

        self._now = monotonic
        self._send = send
        self._size = size
        self._seconds = seconds
        self._cond = Condition()
        self._chunks: list[bytes] = []
        self._len = 0
        self._due: float | None = None
        self._failure: BaseException | None = None
        self._must_stop = False
        self._thread = Thread(target=self._watch, name="fastlambda-stream", daemon=True)
        self._thread.start()

    def add(self, data: "Chunk") -> int:
        piece = data.encode() if isinstance(data, str) else bytes(data)
        with self._cond:
            self._raise()
            self._chunks.append(piece)
            self._len += len(piece)
            if self._len >= self._size:
                self._send_all()
            elif self._due is None:
                self._due = self._now() + self._seconds
                self._cond.notify()
        return len(data)

    def flush(self) -> None:
        with self._cond:
            self._raise()
            self._send_all()

    def stop(self) -> None:
        with self._cond:
            self._must_stop = True
            self._cond.notify()
        self._thread.join()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _send_all(self) -> None:
        chunks, self._chunks, self._len, self._due = self._chunks, [], 0, None
        if chunks:
            self._send(b"".join(chunks))

    def _watch(self) -> None:
        with self._cond:
            while not self._must_stop:
                if self._due is None:
                    self._cond.wait()
                elif (left := self._due - self._now()) > 0:
                    self._cond.wait(left)
                else:
                    try:
                        self._send_all()
                    except BaseException as exc:  # the next write() or close() raises it
                        self._failure = exc
                        return


class StreamingResponse(Stream):
    """A result that is sent piece by piece.

    Args:
        body: an iterable or asynchronous iterable of bytes or str; an HttpStream may come first.  A bytes or str is one
            chunk.
        content_type: of the result; None: application/octet-stream.
        http: status, headers and cookies, for function URLs and API Gateway.
        coalesce_bytes: small chunks wait until this many bytes have come together; 0: each is sent at once.
        coalesce_ms: milliseconds that a chunk may wait at most; needed with coalesce_bytes.
    """

    def __init__(
        self,
        body: "Body | Awaitable[Body]",
        content_type: "str | None" = None,
        *,
        http: "HttpStream | None" = None,
        coalesce_bytes: int = 0,
        coalesce_ms: float = 0,
    ) -> None:
        self.body: Any = body
        self.content_type = content_type
        self.http = http
        self.coalesce_bytes = coalesce_bytes
        self.coalesce_ms = coalesce_ms

    def _open(self, inv: "Invocation") -> ResponseStream:
        return open_stream(
            inv, self.content_type, http=self.http, coalesce_bytes=self.coalesce_bytes, coalesce_ms=self.coalesce_ms
        )

    async def _pump(self, stream: ResponseStream, body: "Any") -> None:
        """Writes an asynchronous body."""
        if hasattr(type(body), "__await__"):
            body = await body
        if not hasattr(type(body), "__aiter__"):
            _write_all(stream, body)
            return
        try:
            async for chunk in body:
                stream.write(chunk)
        finally:
            if hasattr(body, "aclose"):
                await body.aclose()


def _write_all(stream: ResponseStream, body: "Any") -> None:
    if isinstance(body, (bytes, str, bytearray, memoryview, HttpStream)):
        body = (body,)
    elif isinstance(body, dict) or not hasattr(type(body), "__iter__"):
        raise TypeError(f"a streamed result is an iterable of bytes or str, not {type(body).__name__}")
    try:
        chunks = iter(body)
        for chunk in chunks:
            stream.write(chunk)
            if stream._waiting is None and stream._is_begun:
                break
        # The same for the rest, without what was settled by the first: small chunks cost little else than their write.
        send = stream._channel.write_chunk
        for chunk in chunks:
            if type(chunk) is bytes and not stream.is_closed:
                send(chunk)
            else:
                stream.write(chunk)
    finally:
        if hasattr(body, "close"):
            body.close()


def _is_async(body: object) -> bool:
    return hasattr(type(body), "__aiter__") or hasattr(type(body), "__await__")


def open_stream(
    inv: "Invocation",
    content_type: "str | None" = None,
    *,
    http: "HttpStream | None" = None,
    coalesce_bytes: int = 0,
    coalesce_ms: float = 0,
) -> ResponseStream:
    """The stream of an invocation, which can have one: what Context.response_stream() calls with its arguments."""
    if inv.stream is not None:
        raise UsageError("this invocation has a stream already")
    stream = inv.stream = ResponseStream(inv, content_type, http, coalesce_bytes, coalesce_ms)
    return stream


# ---- called by the loop -------------------------------------------------------------------------------------------


def answer(runtime: "Runtime", inv: "Invocation", payload: object) -> None:
    """Sends a StreamingResponse, or ends the stream that the handler has written itself."""
    try:
        stream = _opened(inv, payload)
        if isinstance(payload, StreamingResponse):
            if _is_async(payload.body):
                if runtime.wait is None:
                    from fastlambda.runner import Loop

                    runtime.wait = Loop(runtime).wait
                runtime.wait(payload._pump(stream, payload.body))
            else:
                _write_all(stream, payload.body)
        stream.close()
    except BaseException as exc:
        runtime.fail(inv, exc)
    else:
        stream._settle(runtime)


async def answer_async(runtime: "Runtime", inv: "Invocation", payload: object) -> None:
    """answer() inside a running event loop."""
    try:
        stream = _opened(inv, payload)
        if isinstance(payload, StreamingResponse):
            await payload._pump(stream, payload.body)
        stream.close()
    except BaseException as exc:
        runtime.fail(inv, exc)
    else:
        stream._settle(runtime)


def _opened(inv: "Invocation", payload: object) -> ResponseStream:
    if isinstance(payload, StreamingResponse):
        return payload._open(inv)
    stream: ResponseStream = inv.stream
    return stream


def fail(runtime: "Runtime", inv: "Invocation", exc: BaseException) -> bool:
    """Tells of `exc` in the stream of `inv`; False: nothing was sent yet, and /error can tell of it."""
    stream: ResponseStream = inv.stream
    if not stream._fail(exc):
        return False
    stream._settle(runtime)
    return True


def collect(inv: "Invocation", payload: object, wait: "Callable[[Any], Any]") -> bytes:
    """The bytes that a stream would have sent, where no server is.

    Raises:
        BaseException: what the body raises.
    """
    stream = _opened(inv, payload)
    if isinstance(payload, StreamingResponse):
        if _is_async(payload.body):
            wait(payload._pump(stream, payload.body))
        else:
            _write_all(stream, payload.body)
    stream.close()
    return stream._collected()


# ---- asking for it ------------------------------------------------------------------------------------------------


if TYPE_CHECKING:

    @overload
    def streaming(handler: "H") -> "H": ...
    @overload
    def streaming(
        handler: None = None,
        *,
        content_type: "str | None" = None,
        http: "HttpStream | None" = None,
        coalesce_bytes: int = 0,
        coalesce_ms: float = 0,
    ) -> "Callable[[H], H]": ...


def streaming(
    handler: "H | None" = None,
    *,
    content_type: "str | None" = None,
    http: "HttpStream | None" = None,
    coalesce_bytes: int = 0,
    coalesce_ms: float = 0,
) -> "H | Callable[[H], H]":
    """Sends what a handler yields, chunk by chunk: `@streaming` or `@streaming(content_type="text/plain")`.

    Args:
        handler: a generator or asynchronous generator function, or one that returns an iterable of bytes or str.
        content_type, http, coalesce_bytes, coalesce_ms: as for StreamingResponse.
    """

    def decorate(handler: "H") -> "H":
        def stream(*args: "Any", **kwargs: "Any") -> StreamingResponse:
            return StreamingResponse(
                handler(*args, **kwargs),
                content_type,
                http=http,
                coalesce_bytes=coalesce_bytes,
                coalesce_ms=coalesce_ms,
            )

        # From Python 3.14 on `__annotations__` runs the annotations, whose names may be there for a type checker only:
        # what makes them is handed on, and runs when somebody asks.
        annotations = "__annotate__" if hasattr(stream, "__annotate__") else "__annotations__"
        for name in ("__module__", "__name__", "__qualname__", "__doc__", annotations):
            if hasattr(handler, name):
                setattr(stream, name, getattr(handler, name))
        stream.__wrapped__ = handler  # type: ignore[attr-defined]
        return stream  # type: ignore[return-value]

    return decorate if handler is None else decorate(handler)


def as_stream(result: "Any") -> Stream:
    """The encoder of such a Runner."""
    return StreamingResponse(result)
