"""What the loop does with an invocation that went wrong: what is posted, and whether the process goes on.

Loaded when the first one fails.  Promises: one report for an invocation; what ends the loop is raised after it.  Must
not know: how an error is told (errors.py), sockets.
"""

import sys

from fastlambda.errors import ErrorReport, ResponseRefused, protocol_error, refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastlambda._core import Invocation, Runtime


def fail(runtime: "Runtime", inv: "Invocation", exc: BaseException) -> None:
    """Posts an error.  The guard may answer in the meantime: the answer is claimed where its first byte is written.

    Args:
        runtime: whose invocation it is.
        inv: the invocation.
        exc: what its handler, its decoding or its encoding raised.

    Raises:
        BaseException: `exc` itself, when it ends the loop: SystemExit after its report, KeyboardInterrupt without one.
    """
    if runtime.interruption is not None:
        from fastlambda.interruption import verdict

        exc = verdict(runtime, exc)
    channel = runtime.channel
    if isinstance(exc, KeyboardInterrupt):
        runtime.claim()
        channel.close()
        raise exc  # a person at a terminal
    if inv.stream is not None:
        from fastlambda.streams import fail as fail_stream

        if fail_stream(runtime, inv, exc):
            runtime.claim()  # where nothing could be written
            if isinstance(exc, SystemExit):
                raise exc
            return
    try:
        report = ErrorReport(exc, inv.request_id or "")
    except (OSError, ImportError, MemoryError):
        runtime.fail_bare(inv, exc)
        raise
    report.log()
    if "fastlambda.lazy" in sys.modules:
        sys.modules["fastlambda.lazy"].explain(exc, in_init=False)
    answer = None if runtime.face is None else runtime.face.post_error(inv, report)
    if answer is None:
        runtime.claim()
        answer = channel.post_error(inv, report.body, report.headers)
        if answer[0] == 431:
            answer = channel.post_error(inv, report.body, report.short_headers)
    http_status, body = answer
    if http_status // 100 != 2:
        refused("error", inv.request_id or "", channel.runtime_api, http_status, body)
    if isinstance(exc, SystemExit):
        raise exc
    if runtime.after is not None:
        runtime.run_after(runtime.after)


def run_last(runtime: "Runtime", inv: "Invocation") -> None:
    """Runs what a handler has left for after its answer; an error there is logged, for nobody waits for it."""
    try:
        runtime.run_after(inv.after)  # type: ignore[arg-type]
    except Exception as exc:
        ErrorReport(exc, inv.request_id or "").log()


def skip_refused(runtime: "Runtime", inv: "Invocation", refused_id: str) -> "Invocation":
    """The first event that is not the one whose result was refused.

    After a refused result the server hands out the same event again: it is failed, never run a second time.  Another
    attempt at the same asynchronous event has an invocation id of its own, where the server sends one.

    Args:
        runtime: the loop.
        inv: the event that came after the refusal.
        refused_id: attempt_id of the refused one.

    Raises:
        ProtocolError: it comes again and again.
    """
    for _ in range(2):
        if inv.attempt_id != refused_id:
            return inv
        runtime.fail(inv, ResponseRefused("The result of this invocation was refused by the Runtime API"))
        inv = runtime.channel.next()
    if inv.attempt_id == refused_id:
        raise protocol_error("again", runtime.channel.runtime_api, inv.request_id)
    return inv
