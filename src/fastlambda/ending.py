"""The end of a process whose invocation was interrupted: as under Lambda, which ends an environment after a time-out.

Promises: what is buffered leaves, callbacks run, and the process is gone before the deadline whatever hangs: no thread,
pool or `atexit` function is waited for.  Loaded after the report has left.  Must not know: what is reported.
Source: docs/guard.md.
"""

import os
import sys
from _thread import allocate_lock, start_new_thread
from time import monotonic

from fastlambda._core import running
from fastlambda.errors import MemoryExhausted, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fastlambda._core import Runtime

EXIT_TIMEOUT, EXIT_MEMORY = 124, 125  # as in guard.h
# The process is gone this long before the deadline; when the interpreter's lock is held in C, the alarm's time later.
BEFORE_S = 0.025
ALARM_S = 0.015
# Memory may have run out long before the time does: no end takes longer.
LONGEST_S = 2.0
# What a buffer may take of the time that is left.
FLUSH_SHARE = 0.4


def after_interruption(runtime: "Runtime") -> None:
    """What follows the report of an interruption, or the answer given in place of it.

    Returns:
        only where the process is meant to go on (FASTLAMBDA_AFTER_TIMEOUT=keep, Runner.after_timeout).

    Raises:
        BaseException: the interruption, where the process is not a function's but one that embeds the loop.
    """
    exc = runtime.interruption
    assert exc is not None
    how = runtime.config.after_timeout
    if how == "keep":
        return
    if how == "raise" or runtime.is_guest or running() is not runtime:
        raise exc
    left_s = LONGEST_S
    if runtime.invocation is not None and runtime.invocation.deadline_ms:
        left_s = min(left_s, runtime.remaining_ms() / 1000)
    end(EXIT_MEMORY if isinstance(exc, MemoryExhausted) else EXIT_TIMEOUT, left_s, runtime)


def end(code: int, left_s: float, runtime: "Runtime") -> None:
    """Ends the process within `left_s` seconds.

    Args:
        code: exit status.
        left_s: seconds until Lambda ends it.
        runtime: whose process it is.
    """
    until = monotonic() + max(left_s - BEFORE_S, 0.0)
    _set_alarm(left_s - ALARM_S)
    _start(lambda: _leave_at(until, code))
    _flush_all(until)
    hooks = sys.modules.get("fastlambda.hooks")
    if runtime.invocation is not None and runtime.invocation.after is not None:
        _try(runtime.invocation.after)
    if hooks is not None:
        _try(hooks.shut_down)
        _flush_all(until)
    os._exit(code)


def _set_alarm(seconds: float) -> None:
    """Has the kernel end the process, for the case that C code keeps the interpreter's lock."""
    import _signal  # type: ignore[import-not-found]

    try:
        _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [_signal.SIGALRM])
        _signal.setitimer(_signal.ITIMER_REAL, max(seconds, 0.001))
    except ValueError:
        pass  # not in the main thread


def _leave_at(until: float, code: int) -> None:
    allocated = allocate_lock()
    allocated.acquire()
    allocated.acquire(timeout=max(until - monotonic(), 0.0))
    os._exit(code)


def _flush_all(until: float) -> None:
    """Side by side, because one that hangs must not keep the others; and within a part of the time that is left."""
    within = monotonic() + max(until - monotonic(), 0.0) * FLUSH_SHARE
    left_ms = max(int((within - monotonic()) * 1000), 1)
    flushes: list[Callable[[], object]] = []
    for name in ("stdout", "stderr", "__stdout__", "__stderr__"):
        stream = getattr(sys, name, None)
        if stream is not None:
            flushes.append(stream.flush)
    logging = sys.modules.get("logging")
    if logging is not None:
        for reference in list(logging._handlerList):
            handler = reference()
            if handler is not None:
                flushes.append(handler.flush)
    from fastlambda.observers import flushes as of_tools

    flushes += of_tools(left_ms)
    for done in [_start(lambda flush=flush: _try(flush)) for flush in flushes]:  # type: ignore[misc]
        if done is not None:
            done.acquire(timeout=max(within - monotonic(), 0.001))


def _try(act: "Callable[[], object]") -> None:
    try:
        act()
    except BaseException as exc:  # the process ends, and no part of its end may keep it
        try:
            complain(f"while the process ends: {type(exc).__name__}: {exc}")
        except BaseException:
            pass


def _start(act: "Callable[[], object]") -> "Any":
    """Runs something in a thread of its own; the lock is free when it is done.  None: no thread could be had."""
    done = allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            act()
        finally:
            done.release()

    try:
        start_new_thread(run, ())
    except (RuntimeError, MemoryError):
        return None
    return done
