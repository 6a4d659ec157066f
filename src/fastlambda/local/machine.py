"""The Runtime API's rules: which path is which call, which call is legal when, and how each is answered.

Owns the state of one function process.  Promises: the status codes, bodies and order of checks of AWS's classic server.
Must not know sockets, threads, HTTP framing or time: whoever drives it holds the lock.
Source: Runtime API version 2018-06-01, contract sections 2.1, 2.5 and 3.1.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

BASE = "/2018-06-01"
# 6 MiB and 100 bytes: exactly that many are accepted.
MAX_RESPONSE = 6 * 1024 * 1024 + 100
# All headers of one request together; more is a 431.
MAX_HEAD = 1024 * 1024 + 4096
# An event of up to this many bytes goes out with a Content-Length, a longer one chunked.
MAX_PLAIN_EVENT = 2048


class State(StrEnum):
    """The states of a function process, in the server's words."""

    STARTED = "Started"
    RESTORE_READY = "RestoreReady"
    RESTORING = "Restoring"
    READY = "Ready"
    RUNNING = "Running"
    INVOCATION_RESPONSE = "InvocationResponse"
    INVOCATION_ERROR_RESPONSE = "InvocationErrorResponse"
    RESPONSE_SENT = "RuntimeResponseSentState"
    INIT_ERROR = "InitError"
    RESTORE_ERROR = "RuntimeRestoreErrorState"


class Call(StrEnum):
    """The calls that a function process can make."""

    NEXT = "next"
    RESPONSE = "response"
    ERROR = "error"
    INIT_ERROR = "init/error"
    RESTORE_NEXT = "restore/next"
    RESTORE_ERROR = "restore/error"
    PING = "ping"


@dataclass(frozen=True)
class Answer:
    """An answer of the server, all but its framing.

    Attributes:
        http_status: the code.
        body: complete.
        headers: further header lines; Content-Type among them.
        close: the connection ends with this answer.
    """

    http_status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    close: bool = False


def _json(http_status: int, body: str) -> Answer:
    return Answer(http_status, body.encode() + b"\n", (("Content-Type", "application/json"),))


def _error(http_status: int, message: str, error_type: str) -> Answer:
    return _json(http_status, f'{{"errorMessage":"{message}","errorType":"{error_type}"}}')


ACCEPTED = _json(202, '{"status":"OK"}')
PONG = Answer(200, b"pong", (("Content-Type", "text/plain; charset=utf-8"),))
NOT_FOUND = Answer(
    404,
    b"404 page not found\n",
    (("Content-Type", "text/plain; charset=utf-8"), ("X-Content-Type-Options", "nosniff")),
)
HEAD_TOO_LARGE = Answer(
    431,
    b"431 Request Header Fields Too Large",
    (("Content-Type", "text/plain; charset=utf-8"),),
    close=True,
)
TOO_SLOW = Answer(408, b"408 Request Timeout", (("Content-Type", "text/plain; charset=utf-8"),), close=True)
BAD_REQUEST = Answer(400, b"400 Bad Request", (("Content-Type", "text/plain; charset=utf-8"),), close=True)
INVALID_REQUEST_ID = _error(400, "Invalid request ID", "InvalidRequestID")
INVALID_MODE = _error(400, "Invalid function response mode", "InvalidFunctionResponseMode")
TRUNCATED = _error(400, "HTTP request detected as truncated", "TruncatedHTTPRequest")
INVOKE_TIMEOUT = _error(410, "Invoke timeout", "InvokeTimeout")
BROKEN = _error(500, "Internal Server Error", "InternalServerError")


def forbidden(message: str) -> Answer:
    """The answer to whom this endpoint is not for; AWS's server has none like it."""
    answer = _error(403, message, "Forbidden")
    return Answer(answer.http_status, answer.body, answer.headers, close=True)


def too_large(limit: int) -> Answer:
    """The answer to a body of more than `limit` bytes."""
    return _error(413, f"Exceeded maximum allowed payload size ({limit} bytes).", "RequestEntityTooLarge")


def not_allowed(method: str) -> Answer:
    """The answer to a known path with another method; `method` is the one it has."""
    return Answer(405, b"", (("Allow", method),))


_FIXED = {
    "/runtime/invocation/next": (Call.NEXT, "GET"),
    "/runtime/init/error": (Call.INIT_ERROR, "POST"),
    "/runtime/restore/next": (Call.RESTORE_NEXT, "GET"),
    "/runtime/restore/error": (Call.RESTORE_ERROR, "POST"),
    "/ping": (Call.PING, "GET"),
}
_WITH_ID = re.compile(r"/runtime/invocation/([^/]+)/(response|error)")


def route(method: str, target: str, *, has_snapstart: bool) -> tuple[Call, str] | Answer:
    """Says which call a request is.

    Args:
        method: "GET", "POST", ...
        target: of the request line; a query is ignored.
        has_snapstart: without it the restore paths do not exist.

    Returns:
        the call and the request id in its path ("" where it has none), or the answer to a request that is none.
    """
    path = target.partition("?")[0]
    if not path.startswith(BASE):
        return NOT_FOUND
    path = path[len(BASE) :]
    request_id = ""
    if found := _WITH_ID.fullmatch(path):
        request_id, call, expected = found[1], Call(found[2]), "POST"
    elif path in _FIXED:
        call, expected = _FIXED[path]
    else:
        return NOT_FOUND
    if call in (Call.RESTORE_NEXT, Call.RESTORE_ERROR) and not has_snapstart:
        return NOT_FOUND
    if method != expected:
        return not_allowed(expected)
    return call, request_id


_RECORDED = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")


def recorded_error_type(header: str | None) -> str:
    """The name under which the server records an error, from the Lambda-Runtime-Function-Error-Type header."""
    if found := _RECORDED.search(header or ""):
        return found[0]
    return "Function.Unknown" if (header or "").startswith("Function.") else "Runtime.Unknown"


class Machine:
    """What one function process may do now.

    A method that stands for a call returns None when the call is legal, and has then changed the state, or the answer
    that refuses it, and has then changed nothing (but see post()).

    Attributes:
        state: where the process is.
        request_id: of the event handed out last; None before the first one.
        invocation_id: that was sent with it, or None.
    """

    def __init__(self) -> None:
        self.state = State.STARTED
        self.request_id: str | None = None
        self.invocation_id: str | None = None

    def _refuse(self, to: State) -> Answer:
        return _error(
            403,
            f"State transition from {self.state} to {to} failed for runtime. Error: State transition is not allowed",
            "InvalidStateTransition",
        )

    def next(self) -> Answer | None:
        """`GET invocation/next`.  In Running it is legal and changes nothing: the same event is due once more."""
        if self.state is State.RUNNING:
            return None
        if self.state in (State.STARTED, State.RESTORING, State.RESPONSE_SENT):
            self.state = State.READY
            return None
        return self._refuse(State.READY)

    def hand_out(self, request_id: str, invocation_id: str | None = None) -> None:
        """An event goes to the waiting poll."""
        assert self.state is State.READY, self.state
        self.state = State.RUNNING
        self.request_id, self.invocation_id = request_id, invocation_id

    def poll_lost(self) -> None:
        """The waiting poll's connection is gone: another poll may take its place."""
        assert self.state is State.READY, self.state
        self.state = State.RESPONSE_SENT

    def post(self, call: Call, request_id: str, *, mode: str | None, invocation_id: str | None) -> Answer | None:
        """The head of `POST invocation/{id}/response` or `/error`; the body is still to come.

        The checks come in the server's order: id, state, mode.  A wrong mode leaves the process stuck in
        InvocationResponse, as the server does.

        Args:
            call: RESPONSE or ERROR.
            request_id: from the path.
            mode: the Lambda-Runtime-Function-Response-Mode header; ignored for errors.
            invocation_id: the Lambda-Runtime-Invocation-Id header.
        """
        if self.request_id is None or request_id != self.request_id:
            return INVALID_REQUEST_ID
        if invocation_id is not None and self.invocation_id is not None and invocation_id != self.invocation_id:
            return INVOKE_TIMEOUT
        to = State.INVOCATION_RESPONSE if call is Call.RESPONSE else State.INVOCATION_ERROR_RESPONSE
        if self.state is not State.RUNNING:
            return self._refuse(to)
        self.state = to
        if call is Call.RESPONSE and mode is not None and mode != "streaming":
            return INVALID_MODE
        return None

    def posted(self) -> None:
        """The body of a response or error has been read, or has ended early, or was too long."""
        assert self.state in (State.INVOCATION_RESPONSE, State.INVOCATION_ERROR_RESPONSE), self.state
        self.state = State.RESPONSE_SENT

    def unpost(self) -> None:
        """The body of an error was too long: the invocation is not finished."""
        assert self.state is State.INVOCATION_ERROR_RESPONSE, self.state
        self.state = State.RUNNING

    def init_error(self) -> Answer | None:
        """`POST init/error`.  While restoring, it is a restore error."""
        if self.state is State.STARTED:
            self.state = State.INIT_ERROR
            return None
        if self.state is State.RESTORING:
            self.state = State.RESTORE_ERROR
            return None
        return self._refuse(State.INIT_ERROR)

    def restore_next(self) -> Answer | None:
        """`GET restore/next`: the process is ready for its snapshot."""
        if self.state is State.STARTED:
            self.state = State.RESTORE_READY
            return None
        return self._refuse(State.RESTORE_READY)

    def restore(self) -> None:
        """The snapshot is restored: the waiting call is answered."""
        assert self.state is State.RESTORE_READY, self.state
        self.state = State.RESTORING

    def restore_error(self) -> Answer | None:
        """`POST restore/error`."""
        if self.state is State.RESTORING:
            self.state = State.RESTORE_ERROR
            return None
        return self._refuse(State.RESTORE_ERROR)
