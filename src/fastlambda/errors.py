"""The exceptions, and how one is told to the Runtime API.

Owns the error document, its headers and what is printed about it.  Promises: building a report never raises, whatever
the exception does.  A leaf: it knows nothing of the other rooms and is loaded when something has failed.
Source: Runtime API contract, "Errors"; the document has the shape that AWS's client sends.
"""

import errno
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, NoReturn, TypeVar

    T = TypeVar("T")

# The document is told to people and metrics, not parsed for data: far below the server's 6 MiB.
MAX_MESSAGE = 64 * 1024
MAX_FRAMES = 200
MAX_STACK = 128 * 1024
# Deep recursion is told as one frame and a count, so more frames are looked at than are told.
MAX_WALKED = 5000
# AWS's server uses 64 KiB of the X-Ray cause and refuses heads over 1 MiB; ours stays well below both.
MAX_CAUSE = 48 * 1024
NOT_OURS = -10007  # of _native/status.h
_LOSS = "the function has closed a descriptor that is not its own (os.closerange? os.dup2? a number closed twice?)"


class FastlambdaError(Exception):
    """What this package raises about itself."""


class UsageError(FastlambdaError):
    """We were called in a way that cannot work."""


class ProtocolError(FastlambdaError):
    """The Runtime API sent bytes that make no sense."""


class TransportError(FastlambdaError, OSError):
    """The connection to the Runtime API failed."""


class StreamClosed(TransportError):
    """The Runtime API ended the connection in the middle of a streamed result, which is lost.

    Attributes:
        http_status: of the answer that it gave before; 0 when it gave none.
    """

    http_status = 0


class RuntimeApiError(FastlambdaError):
    """The Runtime API refused a request, in good form.

    Attributes:
        http_status: the code of its answer.
    """

    def __init__(self, request: str, runtime_api: str, http_status: int, body: bytes) -> None:
        super().__init__(f"{request} at {runtime_api} was answered with {http_status}: {bytes(body[:200])!r}")
        self.http_status = http_status


class Fault(FastlambdaError):
    """An error with a type of the platform's, reported without a stack: its place is in the message."""

    error_type = "Runtime.Unknown"
    stack_trace: "list[str]" = []


class UnmarshalError(Fault):
    """The event is not what the handler takes."""

    error_type = "Runtime.UnmarshalError"


class MarshalError(Fault):
    """The result cannot be encoded."""

    error_type = "Runtime.MarshalError"


class ResponseRefused(Fault):
    """The Runtime API did not take the result of an invocation, which is still open."""

    error_type = "Runtime.ResponseRefused"


class ContextUnmarshalError(Fault):
    """The client context or identity is not JSON."""

    error_type = "Runtime.LambdaContextUnmarshalError"


class HandlerFault(Fault):
    """The handler cannot be found or imported.

    Attributes:
        error_type: the platform's name for the reason.
        stack_trace: entries for the error document.
    """

    def __init__(self, error_type: str, message: str, stack_trace: "list[str] | None" = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.stack_trace = stack_trace or []


class _Interruption:
    """What both interruptions are: the outcome of their invocation, unless the handler answers on purpose."""

    # Of the first interruption of an invocation; others point to it.
    first: "BaseException | None" = None
    answered: "tuple[object] | None" = None
    # Where the handler was, outermost first, as (file, line, function); and the threads and tasks that worked for it.
    where: "tuple[tuple[str, int, str], ...]" = ()
    threads: "tuple[tuple[str, tuple[tuple[str, int, str], ...]], ...]" = ()
    instead: "BaseException | None" = None

    def answer(self, value: "T") -> "T":
        """Says that `value` is the answer all the same: return it, and it is posted in place of this error.

        Nothing else that comes back from an interrupted handler is posted.

        Args:
            value: what the handler is going to return; the same object must come back from it.

        Returns:
            `value`.
        """
        first: Any = self.first or self
        first.answered = (value,)
        return value


class InvocationTimeout(_Interruption, BaseException):
    """The invocation's time is nearly over.  Not an Exception, so that `except Exception` does not swallow it.

    Attributes:
        remaining_ms: milliseconds that were left when it was raised.
    """

    error_type = "Runtime.InvocationTimeout"

    def __init__(self, message: str = "", remaining_ms: int = 0) -> None:
        super().__init__(message)
        self.remaining_ms = remaining_ms


class MemoryExhausted(_Interruption, MemoryError):
    """The process comes close to the function's memory limit."""

    error_type = "Runtime.MemoryExhausted"


def check_interruption() -> None:
    """Raises the interruption of the invocation under way again, where the user's code went on as if it had not come.

    What that code was called for is not done.
    """
    if "fastlambda.interruption" in sys.modules:
        from fastlambda.interruption import check

        check()


def answer_on_purpose(value: "T") -> "T":
    """What `timeout.answer(value)` does, for what has no exception at hand; without one it does nothing."""
    if "fastlambda.interruption" in sys.modules:
        from fastlambda.interruption import answer

        answer(value)
    return value


def transport_error(status: int, doing: str, runtime_api: str) -> BaseException:
    """The exception for a native status (see _native/status.h).

    Args:
        status: negative.
        doing: what was done, to be followed by the address.
        runtime_api: host:port.
    """
    where = f"{doing} the Runtime API at {runtime_api}"
    if status == -10004:
        return TransportError(f"{where}: the connection was closed before the answer was complete")
    if status == -10005:
        return TransportError(f"{where}: no answer in time")
    if status == -10006:
        return TransportError(f"{where}: the host name has no address")
    if status == NOT_OURS:
        return TransportError(f"{where}: {_LOSS}")
    if status > -4096:
        hint = ""
        if -status in (errno.EMFILE, errno.ENFILE):
            hint = " (does the function leave files or connections open?)"
        elif doing.startswith("connecting"):
            hint = " (is AWS_LAMBDA_RUNTIME_API right, and is it listening?)"
        return TransportError(-status, f"{where}: {os.strerror(-status)}{hint}")
    return ProtocolError(f"{where}: status {status}")


def usage_error(what: str, value: object) -> UsageError:
    """The exception for one way in which the core can be called wrongly.

    Args:
        what: names the way, as the core does.
        value: what was given; for a number, its variable and text.
    """
    texts = {
        "number": "{} must be a whole number, not {!r}".format(*value) if isinstance(value, tuple) else "",
        "address": "AWS_LAMBDA_RUNTIME_API must be host:port (and a path before the API's own, if need be), "
        f"without a scheme, not {value!r}",
        "no address": "AWS_LAMBDA_RUNTIME_API is not set: this process was not started by Lambda. "
        "To run a function on this machine: fastlambda invoke module.function EVENT",
        "forked": "a forked child must not use its parent's connection to the Runtime API: the parent answers its "
        "invocations",
        "poll": "the answer to the poll under way has to be read first: call next()",
        "json": f"FASTLAMBDA_JSON must be 'orjson' or 'stdlib', not {value!r}",
        "after timeout": f"FASTLAMBDA_AFTER_TIMEOUT must be 'exit', 'keep' or 'raise', not {value!r}",
        "layout": f"FASTLAMBDA_JSON_LAYOUT must be 'compact' or 'aws', not {value!r}",
    }
    return UsageError(texts[what])


def protocol_error(what: str, runtime_api: str, value: object) -> ProtocolError:
    """The exception for one way in which the Runtime API can be wrong.

    Args:
        what: names the way, as the core does.
        runtime_api: host:port.
        value: what it sent.
    """
    texts = {
        "id": "sent an event without Lambda-Runtime-Aws-Request-Id; it cannot be answered",
        "invocation id": f"sent a Lambda-Runtime-Invocation-Id that cannot be sent back: {str(value)[:64]!r}",
        "size": f"announced a body of {value} bytes",
        "again": f"hands out invocation {value} again and again, and refuses its result",
    }
    return ProtocolError(f"the Runtime API at {runtime_api} {texts[what]}")


def cut_short(status: int, runtime_api: str, at: int, size: int) -> BaseException:
    """The exception for a body whose end did not come.

    Args:
        status: negative, as for transport_error().
        runtime_api: host:port.
        at: bytes that have come.
        size: bytes that were announced; 0: the body was chunked.
    """
    what = f"a body of {size} bytes ({at} have come)" if size else f"a chunked body ({at} bytes have come)"
    return transport_error(status, f"reading {what} from", runtime_api)


def stream_closed(status: int, http_status: int, answer: "bytes | None", runtime_api: str) -> StreamClosed:
    """The exception for a stream that cannot be written to any more.

    Args:
        status: a negated errno.
        http_status: of `answer`.
        answer: the body of what the server said before it closed; None: nothing.
        runtime_api: host:port.
    """
    where = f"streaming a result to the Runtime API at {runtime_api}"
    if status == NOT_OURS:
        return StreamClosed(f"{where}: {_LOSS}")
    if answer is None:
        return StreamClosed(-status, f"{where}: {os.strerror(-status)}")
    exc = StreamClosed(f"{where}: ended by its answer {http_status}: {answer[:200]!r}")
    exc.http_status = http_status
    return exc


# ---- the report of one failure ------------------------------------------------------------------------------------


def _quote(text: str) -> str:
    """JSON text in ASCII, lone surrogates and control characters escaped."""
    from _json import encode_basestring_ascii

    return encode_basestring_ascii(text)


def _message(exc: BaseException) -> str:
    try:
        text = str(exc)
    except BaseException as broken:  # a __str__ of the user's: the report must go out all the same
        text = f"<the message cannot be told: __str__ raised {type(broken).__name__}>"
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + f"... ({len(text)} characters)"


def error_type(exc: BaseException) -> str:
    """The name under which an exception is reported: its class's, or the platform's for what is ours."""
    if isinstance(exc, (Fault, InvocationTimeout, MemoryExhausted)):
        return exc.error_type if isinstance(exc, HandlerFault) else str(getattr(type(exc), "error_type", None))
    try:
        return str(type(exc).__name__)
    except Exception:  # a metaclass of the user's
        return "Exception"


# Frames of the extension; debug builds have them.
_CYTHON = (".pyx", ".pxi")
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_ASYNCIO = os.path.join(os.path.dirname(os.__file__), "asyncio") + os.sep


def _is_ours(path: str) -> bool:
    """Whether a frame is of the way into the user's code: ours, the event loop's, the import machinery's."""
    return path.startswith((_HERE, _ASYNCIO, "<frozen importlib")) or path.endswith(_CYTHON)


def _frames(tb: "TracebackType | None", where: "tuple[tuple[str, int, str], ...]" = ()) -> list:  # type: ignore[type-arg]
    """The user's frames: without the runtime's own, which come first, and last when it was called back.

    Args:
        tb: of an exception.
        where: the stack of an interruption, which is whole where the traceback ends with who swallowed it.
    """
    from fastlambda.stacks import Frame, frames_of

    frames = [Frame(*place) for place in where] if where else frames_of(tb, MAX_WALKED)
    while frames and frames[-1].filename.endswith(_CYTHON):  # called back, or where the guard's signal was handled
        frames.pop()
    for i, frame in enumerate(frames):
        if not _is_ours(frame.filename):
            return frames[i:]
    return _frames(tb) if where else []


def _format(frames: list) -> list[str]:  # type: ignore[type-arg]
    """Frames in the form of traceback.format_list(), without caret lines, repeated ones told once."""
    from fastlambda.stacks import format_frames

    return format_frames(frames)[-MAX_FRAMES:]


def _is_submodule(package: object, name: "str | None") -> bool:
    """Whether `name` was looked for in a package that has a module of that name."""
    if not isinstance(package, type(sys)) or not name or not hasattr(package, "__path__"):
        return False
    from importlib.util import find_spec

    try:
        return find_spec(f"{package.__name__}.{name}") is not None
    except Exception:
        return False


def _tell_more(exc: BaseException, seen: set[int], lines: list[str], depth: int = 0) -> None:
    """Notes, members of a group, and the chain, each told once and after the frames of the exception itself."""
    seen.add(id(exc))
    if isinstance(exc, AttributeError) and _is_submodule(exc.obj, exc.name):
        name = f"{getattr(exc.obj, '__name__', '')}.{exc.name}"
        lines.append(f"Note: {name} is a module that nobody has imported (AWS's client may have): import {name}\n")
    try:
        lines += [f"Note: {note}\n" for note in getattr(exc, "__notes__", None) or ()]
    except Exception as broken:  # they may be anything, and their __str__ may do anything
        lines.append(f"Note: <cannot be told: {error_type(broken)}>\n")
    if isinstance(exc, _Interruption):
        for name, where in exc.threads:
            lines.append(f"In {name}:\n")
            lines += _format(_frames(None, where))
        if exc.instead is not None and id(exc.instead) not in seen:
            lines.append(f"Swallowed, and then: {error_type(exc.instead)}: {_message(exc.instead)}\n")
            lines += _format(_frames(exc.instead.__traceback__))
            _tell_more(exc.instead, seen, lines, depth + 1)
    if isinstance(exc, BaseExceptionGroup) and depth < 8:
        for i, member in enumerate(exc.exceptions[:50], 1):
            if id(member) not in seen:
                lines.append(f"Member {i} of {len(exc.exceptions)}: {error_type(member)}: {_message(member)}\n")
                lines += _format(_frames(member.__traceback__))
                _tell_more(member, seen, lines, depth + 1)
    if exc.__cause__ is not None:
        chained, how = exc.__cause__, "Caused by"
    elif exc.__context__ is not None and not exc.__suppress_context__:
        chained, how = exc.__context__, "While handling"
    else:
        return
    if id(chained) not in seen and len(lines) < MAX_FRAMES and depth < 50:
        lines.append(f"{how}: {error_type(chained)}: {_message(chained)}\n")
        lines += _format(_frames(chained.__traceback__))
        _tell_more(chained, seen, lines, depth + 1)


def _within(entries: "list[str]", room: int) -> "list[str]":
    """The first entries, cut where they would take more than `room` characters together."""
    kept = []
    for entry in entries:
        if len(entry) > room:
            kept.append(entry[:room] + "...\n")
            break
        kept.append(entry)
        room -= len(entry)
    return kept


class ErrorReport:
    """One failure as it is posted and logged.

    Args:
        exc: what was raised.
        request_id: of the invocation; "" for init and restore.

    Attributes:
        body: the error document, JSON in ASCII.
        headers: complete header lines for the POST.
        short_headers: the same without the X-Ray cause.
        type_header: the line that names the error's type.
    """

    def __init__(self, exc: BaseException, request_id: str) -> None:
        self.error_type = error_type(exc)
        self.message = _message(exc)
        self.request_id = request_id
        if isinstance(exc, Fault):
            frames: list = []  # type: ignore[type-arg]
            self.stack_trace = list(exc.stack_trace)
        else:
            frames = _frames(exc.__traceback__, getattr(exc, "where", ()) if isinstance(exc, _Interruption) else ())
            self.stack_trace = _format(frames)
            frames = frames[-MAX_FRAMES:]
            _tell_more(exc, set(), self.stack_trace)
        self.stack_trace = _within(self.stack_trace, MAX_STACK)
        self.body = self._document(self.message, self.stack_trace)
        # A class may have any name; a header may not.
        name = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "?" for c in self.error_type)
        self.type_header = f"Lambda-Runtime-Function-Error-Type: {name[:200]}\r\n".encode("ascii")
        self.short_headers = b"Content-Type: application/json\r\n" + self.type_header
        self.cause = self._cause(exc, frames)
        self.headers = self.short_headers + f"Lambda-Runtime-Function-XRay-Error-Cause: {self.cause}\r\n".encode(
            "ascii"
        )
        # For face.py: the document as a dictionary that is handed around, once somebody wants it; headers of a phase.
        self.result: dict[str, object] | None = None
        self.phase_headers = b""

    def _document(self, message: str, stack_trace: "list[str]") -> bytes:
        stack = ", ".join(map(_quote, stack_trace))
        return (
            f'{{"errorMessage": {_quote(message)}, "errorType": {_quote(self.error_type[:200])}, '
            f'"requestId": {_quote(self.request_id)}, "stackTrace": [{stack}]}}'
        ).encode("ascii")

    def short_body(self, limit: int) -> bytes:
        """The error document in at most `limit` bytes (2000 or more): frames give way first, the outermost before the
        others."""
        body, message, stack = self.body, self.message, self.stack_trace
        while len(body) > limit and (stack or message):
            if stack:
                stack = stack[(len(stack) + 1) // 2 :]
            else:
                message = message[: len(message) * 3 // 4] if len(message) > 20 else ""
            body = self._document(message, stack)
        return body

    def _cause(self, exc: BaseException, frames: list) -> str:  # type: ignore[type-arg]
        """The X-Ray cause: one line of ASCII, shortened until it fits."""
        try:
            where = os.getcwd()
        except OSError:
            where = "/"
        kind = "LambdaValidationError" if isinstance(exc, Fault) else self.error_type
        message, keep = self.message, len(frames)
        while True:
            stack = ", ".join(
                f'{{"label": {_quote(f.name)}, "path": {_quote(f.filename)}, "line": {f.lineno}}}'
                for f in frames[len(frames) - keep :]
            )
            paths = ", ".join(_quote(p) for p in dict.fromkeys(f.filename for f in frames[len(frames) - keep :]))
            text = (
                f'{{"working_directory": {_quote(where)}, "exceptions": [{{"message": {_quote(message)}, '
                f'"type": {_quote(kind)}, "stack": [{stack}]}}], "paths": [{paths}]}}'
            )
            if len(text) <= MAX_CAUSE:
                return text
            if len(message) > 1000:
                message = message[:1000]
            elif keep:
                keep //= 2
            else:
                message, where, kind = message[:100], where[:100], kind[:100]

    def log(self) -> None:
        """Writes the report to the function's log, before it is posted."""
        from fastlambda._core import running
        from fastlambda.logs import log_error

        runtime = running()
        if runtime is None or runtime.face is None or not runtime.face.log(self):
            log_error(self)


def _write(stream: object, text: str) -> None:
    """Writes and flushes; a closed or broken stream must not end the loop."""
    try:
        stream.write(text)  # type: ignore[attr-defined]
        stream.flush()  # type: ignore[attr-defined]
    except Exception:  # it may be one of the user's
        pass


def complain(text: str) -> None:
    """One line about the runtime itself, on stderr."""
    text = text.replace("\r\n", "\r").replace("\n", "\r")  # a message of the function's must not begin another
    _write(sys.stderr, f"fastlambda: {text}\n")


def complain_of_loss(runtime_api: str) -> None:
    """Tells that user code has closed a descriptor that is ours; nothing may keep the answer back."""
    try:
        complain(f"the connection to the Runtime API at {runtime_api} is opened again: {_LOSS}")
    except Exception:  # a stderr of the user's
        pass


def refused(what: str, request_id: str, runtime_api: str, http_status: int, body: bytes) -> None:
    """Tells of a report that the Runtime API did not take; it is never posted again.

    Raises:
        RuntimeApiError: the Runtime API is broken or shutting down (5xx), or the request is one that it does not have
            (404, 405): the process has to end.
    """
    error = RuntimeApiError(f"POST invocation/{request_id}/{what}", runtime_api, http_status, body)
    if http_status >= 500 or http_status in (404, 405):
        raise error
    complain(f"{error}; going on with the next invocation")


def leave_child(exc: "BaseException | None") -> "NoReturn":
    """Ends a forked child that came back from the handler: the invocation is its parent's to answer."""
    if exc is not None:
        from traceback import print_exception

        print_exception(exc)
    complain("a forked child of this process came back from the handler; it ends here, only its parent answers")
    for stream in (sys.stdout, sys.stderr):
        _write(stream, "")
    os._exit(0 if exc is None else 1)


def post_phase(channel: object, report: "ErrorReport", phase: bytes) -> "tuple[int, bytes]":
    """Posts the report of an init or restore; returns the answer's status and body.

    Args:
        channel: a Channel.
        report: the report; its phase_headers, if it has any, go in place of its headers.
        phase: "init" or "restore".
    """
    from fastlambda._core import running

    runtime = running()
    answer = None if runtime is None or runtime.face is None else runtime.face.post_error(None, report, phase)
    if answer is not None:
        return answer  # type: ignore[no-any-return]
    return channel.post_error(None, report.body, report.phase_headers or report.headers, phase)  # type: ignore[attr-defined,no-any-return]


def fail_init(channel: object, exc: BaseException) -> "NoReturn":
    """Reports that the function could not be started, and ends the process.

    Args:
        channel: a Channel.
        exc: what importing the handler, or setup, raised.

    Raises:
        SystemExit: always; the code is the handler's own when it called sys.exit(), else 1.
    """
    if isinstance(exc, (KeyboardInterrupt, SystemExit)):
        raise exc
    report = ErrorReport(exc, "")
    report.log()
    if "fastlambda.lazy" in sys.modules:
        sys.modules["fastlambda.lazy"].explain(exc, in_init=True)
    try:
        http_status, body = post_phase(channel, report, b"init")
        if http_status // 100 != 2:
            complain(f"POST init/error was answered with {http_status}: {bytes(body[:200])!r}")
    except FastlambdaError as failed:
        complain(str(failed))
    raise SystemExit(1)


def leave(exc: Exception) -> "NoReturn":
    """Ends a process whose loop cannot go on: what is ours is said in one line, anything else is a bug of ours.

    Raises:
        SystemExit: with code 1.
    """
    if not isinstance(exc, FastlambdaError):
        raise exc
    complain(str(exc))
    raise SystemExit(1)
