"""What a function does around its invocations: before a snapshot, after a restore, after a response, at shutdown.

Owns the registered callbacks, the restore phase and the reaction to SIGTERM.  Loaded when one of them is used.
Source: Runtime API contract, "SnapStart" and "Shutdown"; docs/lifecycle.md.
"""

import sys

from fastlambda.errors import ErrorReport, FastlambdaError, RuntimeApiError, complain, post_phase

try:
    from fastlambda._core import running
except ImportError as exc:
    from fastlambda._broken import explain

    explain(exc)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn, ParamSpec, TypeVar

    from fastlambda._core import Channel, Runtime

    P = ParamSpec("P")
    R = TypeVar("R")

SIGTERM = 15


class _Callbacks:
    """The process's callbacks; each list in order of registration, as (function, arguments, keyword arguments)."""

    def __init__(self) -> None:
        self.before_snapshot: list[Any] = []
        self.after_restore: list[Any] = []
        self.after_response: list[Any] = []
        self.shutdown: list[Any] = []


_CALLBACKS = _Callbacks()


def register_before_snapshot(function: "Callable[P, R]", *args: "P.args", **kwargs: "P.kwargs") -> "Callable[P, R]":
    """Calls a function before the SnapStart snapshot is taken; the last one registered is called first.

    Args:
        function: what to call; may be decorated with this.
        args, kwargs: what to call it with.

    Returns:
        `function`.
    """
    _CALLBACKS.before_snapshot.append((function, args, kwargs))
    return function


def register_after_restore(function: "Callable[P, R]", *args: "P.args", **kwargs: "P.kwargs") -> "Callable[P, R]":
    """Calls a function after each restore from a SnapStart snapshot, in order of registration.

    Args:
        function: what to call; may be decorated with this.
        args, kwargs: what to call it with.

    Returns:
        `function`.
    """
    _CALLBACKS.after_restore.append((function, args, kwargs))
    return function


def after_response(function: "Callable[P, R]", *args: "P.args", **kwargs: "P.kwargs") -> "Callable[P, R]":
    """Calls a function after each invocation, once the Runtime API has its answer and before the next poll.

    Args:
        function: what to call; may be decorated with this.
        args, kwargs: what to call it with.

    Returns:
        `function`.
    """
    _CALLBACKS.after_response.append((function, args, kwargs))
    runtime = running()
    if runtime is not None:
        runtime.after = run_after_response
    return function


def on_shutdown(function: "Callable[P, R]", *args: "P.args", **kwargs: "P.kwargs") -> "Callable[P, R]":
    """Calls a function when Lambda shuts the environment down with SIGTERM; the last one registered is called first.

    Lambda grants 300 to 500 ms, and sends the signal only to environments with an extension
    (FASTLAMBDA_REGISTER_EXTENSION=1 makes this process one).

    Args:
        function: what to call; may be decorated with this.
        args, kwargs: what to call it with.

    Returns:
        `function`.
    """
    _CALLBACKS.shutdown.append((function, args, kwargs))
    runtime = running()
    if runtime is not None:
        _catch_sigterm(runtime)
    return function


# ---- around the loop ----------------------------------------------------------------------------------------------


def begin(runtime: "Runtime") -> None:
    """Prepares what was registered during init; called before the first poll."""
    if _CALLBACKS.after_response:
        runtime.after = run_after_response
    if runtime.config.register_extension:
        _register_extension(runtime.channel.runtime_api)
    if _CALLBACKS.shutdown:
        _catch_sigterm(runtime)


def run_after_response() -> None:
    """Calls what is registered; what one raises is told, and the loop goes on."""
    for function, args, kwargs in _CALLBACKS.after_response:
        _run_guarded("an after-response callback", function, args, kwargs)


def shut_down() -> None:
    """Calls what is registered for shutdown, the last one first."""
    while _CALLBACKS.shutdown:
        function, args, kwargs = _CALLBACKS.shutdown.pop()
        _run_guarded("a shutdown callback", function, args, kwargs)


def _run_guarded(what: str, function: "Any", args: "Any", kwargs: "Any") -> None:
    try:
        function(*args, **kwargs)
    except Exception as exc:
        complain(f"{what} failed: {type(exc).__name__}: {exc}")


class Stop(BaseException):
    """SIGTERM came while the loop was waiting for an event."""


def _catch_sigterm(runtime: "Runtime") -> None:
    """Lets SIGTERM end the loop, unless the function has a handler of its own for it."""
    import _signal  # type: ignore[import-not-found]

    if runtime.is_guest or _signal.getsignal(SIGTERM) != _signal.SIG_DFL:
        return

    def stop(signal: int, frame: object) -> None:
        # An invocation under way is finished first; the platform kills the process if that takes too long.
        runtime.is_stopping = True
        if runtime.is_polling:
            raise Stop

    try:
        _signal.signal(SIGTERM, stop)
    except ValueError:
        return  # not in the main thread: whoever runs the loop there has the signals


def _register_extension(runtime_api: str) -> None:
    """Registers this process as an internal extension without events, which makes Lambda send SIGTERM.

    One connection: the registration, then the wait for an event that never comes.  It stays open, unread, for the
    life of the process.
    """
    import _socket

    host, _, port = runtime_api.partition("/")[0].rpartition(":")
    family, kind, proto, _, address = _socket.getaddrinfo(host.strip("[]"), int(port), 0, _socket.SOCK_STREAM)[0]
    connection = _socket.socket(family, kind, proto)
    connection.settimeout(5)
    try:
        connection.connect(address)
        connection.send(
            f"POST /2020-01-01/extension/register HTTP/1.1\r\nHost: {runtime_api}\r\n"
            "Lambda-Extension-Name: fastlambda\r\nContent-Type: application/json\r\n"
            'Content-Length: 13\r\n\r\n{"events":[]}'.encode("ascii")
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            piece = connection.recv(4096)
            if not piece:
                break
            answer += piece
        lines = answer.decode("latin-1").split("\r\n")
        names = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        identifier = names.get("lambda-extension-identifier")
        if " 200 " not in f"{lines[0]} " or not identifier:
            complain(f"the extension was not registered: {lines[0][:200]!r}")
            connection.close()
            return
        connection.send(
            f"GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: {runtime_api}\r\n"
            f"Lambda-Extension-Identifier: {identifier}\r\n\r\n".encode("latin-1")
        )
    except OSError as exc:
        complain(f"the extension was not registered: {exc}")
        connection.close()
        return
    _PARKED.append(connection)


# Kept open until the process ends.
_PARKED: "list[Any]" = []


# ---- SnapStart ----------------------------------------------------------------------------------------------------


def pass_snapshot(channel: "Channel") -> None:
    """Runs the hooks before the snapshot, waits inside of it, and runs the hooks after the restore.

    Args:
        channel: closed afterwards, so that the next request opens a fresh connection.

    Raises:
        SystemExit: 64 when a hook before the snapshot or the snapshot failed, 65 when a hook after the restore did;
            the failure has been reported.
    """
    library = sys.modules.get("snapshot_restore_py")
    try:
        for hooks in (_CALLBACKS.before_snapshot, library.get_before_snapshot() if library else []):
            while hooks:
                function, args, kwargs = hooks.pop()
                function(*args, **kwargs)
        http_status = channel.get_restore_next()
        if http_status != 200:
            raise RuntimeApiError("GET restore/next", channel.runtime_api, http_status, b"")
    except BaseException as exc:
        _fail_phase(channel, exc, b"init", "Runtime.BeforeSnapshotError", 64)
    channel.close()
    try:
        for hooks in (_CALLBACKS.after_restore, library.get_after_restore() if library else []):
            for function, args, kwargs in hooks:
                function(*args, **kwargs)
    except BaseException as exc:
        _fail_phase(channel, exc, b"restore", "Runtime.AfterRestoreError", 65)


def _fail_phase(channel: "Channel", exc: BaseException, phase: bytes, error_type: str, code: int) -> "NoReturn":
    report = ErrorReport(exc, "")
    report.log()
    report.phase_headers = (
        f"Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: {error_type}\r\n".encode("ascii")
    )
    try:
        http_status, body = post_phase(channel, report, phase)
        if http_status != 202:
            complain(f"POST {phase.decode()}/error was answered with {http_status}: {bytes(body[:200])!r}")
    except FastlambdaError as failed:
        complain(str(failed))
    raise SystemExit(code)
