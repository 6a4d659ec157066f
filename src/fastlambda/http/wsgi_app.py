"""A WSGI application as a handler.

Promises: a streamed response's headers leave with the first bytes of its body, each item as it is yielded; close() of
the iterable is always called.  Not called wsgi.py: importing that would put the module in the place of the function.
Source: PEP 3333.
"""

import sys
from io import BytesIO
from urllib.parse import unquote_to_bytes

from fastlambda.errors import ErrorReport, UsageError
from fastlambda.http.answers import BAD_REQUEST, SERVER_ERROR, check_status, checked, has_body, response_of
from fastlambda.http.events import REST, V2, Request, mount_point, request_of
from fastlambda.http.meant import is_answered, keep_answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from fastlambda import Context

    App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def wsgi(
    app: "App",
    *,
    stream: bool = False,
    fallback: "Callable[[Any, Context], Any] | None" = None,
    root_path: "str | None" = None,
) -> "WsgiHandler":
    """Makes a handler of a WSGI application.

    Args:
        app: the application.
        stream: the items of its iterable go out as they are yielded; for function URLs in RESPONSE_STREAM mode and
            streamed API Gateway integrations.  Events of load balancers and VPC Lattice are answered in one piece.
        fallback: handler(event, context) for events that are not HTTP.
        root_path: where the application is mounted, when the event does not say it.

    Raises:
        UsageError: an argument has no meaning.
    """
    return WsgiHandler(app, stream, fallback, root_path)


class WsgiHandler:
    """handler(event, context) for one application; see wsgi()."""

    def __init__(
        self,
        app: "App",
        stream: bool,
        fallback: "Callable[[Any, Context], Any] | None",
        root_path: "str | None",
    ) -> None:
        if not callable(app):
            raise UsageError(f"wsgi() needs a WSGI application, not {app!r}")
        self.app = app
        self.is_streaming = stream
        self.fallback = fallback
        self.root_path = mount_point(root_path)

    def __call__(self, event: "Any", context: "Context") -> "Any":
        request = request_of(event)
        if request is None:
            if self.fallback is None:
                raise UsageError("the event is not HTTP, and wsgi() was given no fallback= handler for it")
            return self.fallback(event, context)
        request.mount(self.root_path)
        kind = StreamedCycle if self.is_streaming and request.source in (V2, REST) else Cycle
        cycle = kind(self.app if request.fault is None else _refuse, request, context)
        answer = cycle.run()
        keep_answer(answer, cycle.status != 500)
        return answer


class Cycle:
    """One request and its response, which is kept until it is complete."""

    def __init__(self, app: "App", request: Request, context: "Context") -> None:
        self.app = app
        self.request = request
        self.context = context
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.is_sent = False
        self._body: list[bytes] = []

    def run(self) -> "Any":
        try:
            self._iterate(self.app(environ_of(self.request, self.context), self._start_response))
        except Exception as exc:
            self._failed(exc)
        return self.answer()

    def _iterate(self, items: "Iterable[bytes]") -> None:
        try:
            for item in items:
                if item:
                    self._write(item)
            if not self.status:
                raise RuntimeError("the application did not call start_response()")
            self._end()
        finally:
            if hasattr(items, "close"):
                items.close()

    def _start_response(
        self, status: str, headers: "list[tuple[str, str]]", exc_info: "Any" = None
    ) -> "Callable[[bytes], None]":
        if exc_info:
            try:
                if self.is_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
            self._body.clear()
        elif self.status:
            raise RuntimeError("start_response() was called twice")
        code = _code(status)
        self.headers = checked(headers)
        self.status = code
        return self._write

    def _write(self, data: bytes) -> None:
        if not self.status:
            raise RuntimeError("the application sends a body before it has called start_response()")
        if not isinstance(data, bytes):
            raise TypeError(f"a WSGI application's body is bytes, not {type(data).__name__}")
        self._body.append(data)

    def _end(self) -> None:
        pass

    def _failed(self, exc: Exception) -> None:
        """The caller gets a 500, as from other servers; the log the error."""
        ErrorReport(exc, self.context.aws_request_id or "").log()
        self.status, self.headers, body = SERVER_ERROR
        self._body = [body]

    def answer(self) -> "Any":
        return response_of(self.request, self.status, self.headers, b"".join(self._body))


class StreamedCycle(Cycle):
    """One request whose response goes out as the application yields it."""

    def _open(self) -> None:
        from fastlambda.streams import HttpStream

        http = HttpStream(self.status, self.headers)
        self._has_body = has_body(self.request.method, self.status)
        self._stream = self.context.response_stream(http=http)
        self.is_sent = True

    def _write(self, data: bytes) -> None:
        super()._write(data)
        self._body.clear()
        if not self.is_sent:
            self._open()
        if self._has_body:
            self._stream.write(data)

    def _end(self) -> None:
        if self.status == 500 and is_answered():
            return  # the application has failed after its answer
        if not self.is_sent:
            self._open()
        self._stream.close()

    def _failed(self, exc: Exception) -> None:
        if self.is_sent:
            raise exc  # ends the stream as an error
        super()._failed(exc)
        self._write(self._body[0])
        self._end()

    def answer(self) -> None:
        return None


def _code(status: object) -> int:
    """The code of a status line such as "200 OK". PEP 3333: three digits, then a blank."""
    word = status.partition(" ")[0] if isinstance(status, str) else ""
    return check_status(int(word) if len(word) == 3 and word.isascii() and word.isdigit() else str(status))


def _refuse(environ: "dict[str, Any]", start_response: "Any") -> "Iterable[bytes]":
    """The application's answer to what no server would have let through to it."""
    status, headers, body = BAD_REQUEST
    start_response(str(status), headers)
    return [body]


def environ_of(request: Request, context: "Context") -> "dict[str, Any]":
    """The environ of a request.

    Text is as PEP 3333 wants it: bytes told as ISO 8859-1.
    """
    path = unquote_to_bytes(request.raw_path).decode("latin-1")
    if path.startswith("//"):
        path = "/" + path.lstrip("/")  # what a name of a host begins with is no path to build links from
    root = _told(request.root_path)
    if root and path.startswith(root):
        path = path[len(root) :]
    else:
        root = ""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": root,
        "PATH_INFO": path,
        "QUERY_STRING": request.query_string,
        "REQUEST_URI": request.raw_path + ("?" + request.query_string if request.query_string else ""),
        "SERVER_NAME": request.host,
        "SERVER_PORT": str(request.port),
        "SERVER_PROTOCOL": f"HTTP/{request.http_version}",
        "CONTENT_LENGTH": str(len(request.body)),
        "REMOTE_ADDR": request.client or "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": BytesIO(request.body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "aws.event": request.event,
        "aws.context": context,
    }
    if request.client_port:
        environ["REMOTE_PORT"] = str(request.client_port)
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if "_" in name:
            continue  # else it would stand for the name with "-", which a gateway may have set
        key = name.upper().replace("-", "_")
        if key == "CONTENT_LENGTH":
            continue
        if key != "CONTENT_TYPE":
            key = "HTTP_" + key
        found.setdefault(key, []).append(_told(value))
    for key, values in found.items():
        environ[key] = ("; " if key == "HTTP_COOKIE" else ",").join(values)
    return environ


def _told(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8").decode("latin-1")
