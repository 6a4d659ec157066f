"""Step one: what is raised, in which threads, and what is posted for an invocation that was interrupted.

Owns the interruption from the guard's signal to the verdict.  Promises: once a handler was interrupted, the
interruption is what is posted, unless the handler answers on purpose.  Loaded when the guard's signal arrives; so
nothing is imported here that is not there already.  Must not know: sockets, how an error is told, how the process ends.
Source: docs/guard.md.
"""

import sys

from fastlambda._core import raise_in_thread, running
from fastlambda.errors import InvocationTimeout, MemoryExhausted, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import Task
    from types import FrameType
    from typing import Any

    from fastlambda._core import Runtime

    Place = tuple[str, int, str]

MAX_PLACES = 200
MAX_TASKS = 10
_HERE = __file__.rpartition("/")[0] + "/"
# Threads that belong to tools: they carry what is told of the interruption out of the process.
_SERVICES = (
    *(
        "fastlambda.",
        "opentelemetry.",
        "ddtrace.",
        "datadog",
        "sentry_sdk.",
        "newrelic.",
        "elasticapm.",
        "aws_xray_sdk.",
    ),
    *("logging.", "aws_durable_execution_sdk_python.state", "aws_durable_execution_sdk_python.plugin"),
)
_TOOLS = frozenset(["opentelemetry", "ddtrace", "sentry_sdk", "newrelic", "elasticapm"])
# Where a thread waits for other threads.
_WAITS = ("threading", "queue", "concurrent.futures.thread", "concurrent.futures._base", "multiprocessing.pool")


def interrupt(
    runtime: "Runtime",
    frame: "FrameType | None",
    is_memory: bool,
    resident_mb: int,
    limit_mb: int,
    timeout_ms: int,
    remaining_ms: int,
    generation: int,
) -> "BaseException | None":
    """What the guard's signal raises in the main thread; called in a signal's handler, so at any bytecode of it.

    Args:
        runtime: whose invocation it is.
        frame: where the main thread is.
        is_memory: for the memory limit; else for the deadline.
        resident_mb, limit_mb: MiB in use, and the function's limit.
        timeout_ms: milliseconds that the invocation had.
        remaining_ms: milliseconds that are left.
        generation: of the invocation.

    Returns:
        None when raising it here would not end the handler, whose task is cancelled instead.
    """
    text = (
        f"The process uses {resident_mb} of the function's {limit_mb} MB of memory"
        if is_memory
        else f"The handler did not come back within the function's time-out of {timeout_ms / 1000:.1f} s: "
        f"interrupted {remaining_ms} ms before it"
    )
    exc: Any = MemoryExhausted(text) if is_memory else InvocationTimeout(text, remaining_ms)
    tasks, is_idle = _tasks(runtime)
    if runtime.interruption is None:
        exc.where = _task_places(tasks[0]) if is_idle else _places(frame, runtime.home)
        exc.threads = _other_tasks(tasks)
        runtime.interruption = exc
        if not is_idle:
            _note(exc, frame)
    else:
        exc.first = runtime.interruption  # time has run out after memory had: the first one is told
    workers = _Workers.of(exc.first or exc, frame, (timeout_ms - remaining_ms) / 1000)
    workers.interrupt()
    for task in tasks:
        _cancel(task, runtime, generation)
    return None if is_idle else exc


def again(runtime: "Runtime", frame: "FrameType | None", is_last: bool, generation: int) -> "BaseException | None":
    """The same once more, for a handler that did not come back after it.

    A handler that waits for its threads does so for nothing once they are interrupted, or cannot be; any other is left
    to its clean-up as long as there is time.
    """
    exc: Any = runtime.interruption
    if exc is None or exc.answered is not None or frame is None or frame.f_code.co_filename.startswith(_HERE):
        return None
    tasks, is_idle = _tasks(runtime)
    workers: _Workers | None = getattr(exc, "workers", None)
    if not is_last and not is_idle and (not _waits(frame) or (workers is not None and workers.are_unwinding())):
        return None
    if workers is not None:
        workers.insist()
    if is_last:
        for task in tasks:
            _cancel(task, runtime, generation)
    return None if is_idle else exc


def is_overruled(runtime: "Runtime", result: object) -> bool:
    """Whether the interruption is posted in place of a result; says in the log what came of it.

    Args:
        runtime: whose invocation was interrupted.
        result: what its handler returned.
    """
    exc: Any = runtime.interruption
    if exc.answered is not None and exc.answered[0] is result:
        return False
    _complete(exc)
    came = f"returned {'None' if result is None else 'a value of type ' + type(result).__name__}"
    _tell_swallowed(exc, came + (", which is not what timeout.answer() was given" if exc.answered is not None else ""))
    return True


def verdict(runtime: "Runtime", exc: BaseException) -> BaseException:
    """What is posted in place of `exc`, which an interrupted handler raised."""
    first: Any = runtime.interruption
    if getattr(type(exc), "outranks_interruptions", False):
        return exc  # of ours, and says more
    asyncio = sys.modules.get("asyncio")
    is_cancellation = asyncio is not None and isinstance(exc, asyncio.CancelledError)
    if exc is not first and getattr(exc, "first", None) is not first and not is_cancellation:
        first.instead = exc
        at = exc.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        where = f" in {at.tb_frame.f_code.co_filename}, line {at.tb_lineno}" if at is not None else ""
        _tell_swallowed(first, f"raised {type(exc).__name__}{where}")
    elif first.__traceback__ is None:
        first.__traceback__ = exc.__traceback__
    _complete(first)
    return first  # type: ignore[no-any-return]


def _complete(first: "Any") -> None:
    """Where asynchronous code was that shows no stack while it waits, as it has seen the interruption."""
    seen = getattr(first, "seen", None)
    if seen is None or any(not place[0].startswith(_HERE) for place in first.where):
        return
    places: list[Place] = []
    at = seen.__traceback__
    while at is not None and len(places) < MAX_PLACES:
        places.append((at.tb_frame.f_code.co_filename, at.tb_lineno, at.tb_frame.f_code.co_name))
        at = at.tb_next
    first.where = tuple(places)


def check() -> None:
    """Raises the interruption of the invocation under way again, unless it was answered; says so in the log."""
    runtime = running()
    exc: Any = None if runtime is None else runtime.interruption
    if exc is not None and exc.answered is None:
        _tell_swallowed(exc, "went on")
        raise exc


def answer(value: object) -> None:
    """Answers the interruption of the invocation under way, if there is one."""
    runtime = running()
    exc: Any = None if runtime is None else runtime.interruption
    if exc is not None:
        exc.answer(value)


def _tell_swallowed(exc: "Any", came: str) -> None:
    runtime = running()
    inv = runtime.invocation if runtime is not None else None
    request_id = f" (RequestId: {inv.request_id})" if inv is not None else ""
    at = exc.__traceback__ or getattr(exc, "seen", exc).__traceback__
    while at is not None and at.tb_frame.f_code.co_filename.startswith(_HERE) and at.tb_next is not None:
        at = at.tb_next
    where = f" in {at.tb_frame.f_code.co_filename}, line {at.tb_lineno}" if at is not None else ""
    complain(
        f"{_base(exc).__name__} was swallowed{where}; the handler {came}; the error is posted all the same{request_id}"
    )


# ---- kinds of exceptions ------------------------------------------------------------------------------------------


def _base(exc: BaseException) -> type:
    return MemoryExhausted if isinstance(exc, MemoryExhausted) else InvocationTimeout


def as_cancellation(first: "Any", exc: BaseException) -> BaseException:
    """The interruption in place of the cancellation `exc` that it was brought about by: it is both."""
    asyncio = sys.modules["asyncio"]
    kind = _base(first)
    both: Any = type(kind.__name__, (kind, asyncio.CancelledError), {"__module__": kind.__module__})(*first.args)
    both.first = first
    first.seen = both
    both.remaining_ms = getattr(first, "remaining_ms", 0)
    both.__context__ = exc.__context__
    _note(first, None)
    return both  # type: ignore[no-any-return]


def _in_thread(first: BaseException, seen: "list[bool]", is_exception: bool) -> type:
    """A class whose instance, made without arguments by the interpreter, is the interruption as a thread sees it.

    An Exception at first: what runs a step of the user's work in a thread of its own records an Exception as its
    failure, and whatever the thread makes of it, the outcome is decided.
    """
    kind = _base(first)

    def __init__(self: "Any", *args: object) -> None:
        kind.__init__(self, *(first.args[:1] or args[:1]))  # type: ignore[misc]
        self.first = first
        self.remaining_ms = getattr(first, "remaining_ms", 0)
        seen.append(True)

    bases = (kind, Exception) if is_exception and not issubclass(kind, Exception) else (kind,)
    return type(kind.__name__, bases, {"__module__": kind.__module__, "__init__": __init__})


# ---- where it is --------------------------------------------------------------------------------------------------


def _note(exc: BaseException, frame: "FrameType | None") -> None:
    """Tells the tools that watch the function, if there are any, in the context of the handler."""
    if not _TOOLS.isdisjoint(sys.modules):
        from fastlambda.observers import note

        note(exc, frame)


def _places(frame: "FrameType | None", home: "FrameType | None" = None) -> "tuple[Place, ...]":
    """A stack, outermost first, from where the loop called the handler."""
    places: list[Place] = []
    while frame is not None and frame is not home and len(places) < MAX_PLACES:
        if home is None and frame.f_code.co_name == "exec_async" and frame.f_code.co_filename.startswith(_HERE):
            break
        places.append((frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_name))
        frame = frame.f_back
    return tuple(reversed(places))


def _task_places(task: "Task[Any]") -> "tuple[Place, ...]":
    """The stack of a task that waits: its coroutines, and those of the tasks that it awaits."""
    places: list[Place] = []
    waiter: Any = task
    for _ in range(20):
        step: Any = waiter.get_coro() if hasattr(waiter, "get_coro") else None
        while step is not None and len(places) < MAX_PLACES:
            frame = next((f for name in ("cr", "gi", "ag") if (f := getattr(step, name + "_frame", None))), None)
            if frame is not None:
                places.append((frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_name))
            step = next(
                (s for n in ("cr_await", "gi_yieldfrom", "ag_await") if (s := getattr(step, n, None)) is not None), None
            )
        waiter = getattr(waiter, "_fut_waiter", None)
        if waiter is None:
            break
    return tuple(places)


def _waits(frame: "FrameType | None") -> bool:
    """Whether a stack ends in a wait for other threads, or in an event loop that is closing and waits for its own."""
    if frame is not None and frame.f_globals.get("__name__") in _WAITS:
        return True
    while frame is not None:
        if frame.f_code.co_name == "close" and frame.f_globals.get("__name__") == "asyncio.runners":
            return True
        frame = frame.f_back
    return False


# ---- tasks --------------------------------------------------------------------------------------------------------


def _tasks(runtime: "Runtime") -> "tuple[list[Task[Any]], bool]":
    """The tasks to be cancelled; and whether none is being stepped, so that raising in place would end no task but the
    event loop."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return [], False
    task = runtime.task
    if task is not None and not task.done() and (loop := task.get_loop()).is_running():
        current = asyncio.current_task(loop)
        return ([] if current is task else [task]), current is None
    loop = asyncio._get_running_loop()
    # uvloop calls signals' handlers from a callback of its own, and drops what they raise.
    if loop is not None and type(loop).__module__.startswith("uvloop") and asyncio.current_task(loop) is None:
        tasks = [t for t in asyncio.all_tasks(loop) if not t.done()]
        return tasks, bool(tasks)
    return [], False


def _other_tasks(tasks: "list[Task[Any]]") -> "tuple[tuple[str, tuple[Place, ...]], ...]":
    """Where the tasks are that run beside the handler's, or in an event loop of its own."""
    asyncio = sys.modules.get("asyncio")
    loop = asyncio._get_running_loop() if asyncio is not None else None
    if asyncio is None or loop is None:
        return ()
    others = [t for t in asyncio.all_tasks(loop) if t not in tasks and t is not asyncio.current_task(loop)]
    found = [(f"task {t.get_name()}", _task_places(t)) for t in others[:MAX_TASKS]]
    return tuple((name, places) for name, places in found if any(not p[0].startswith(_HERE) for p in places))


def _cancel(task: "Task[Any]", runtime: "Runtime", generation: int) -> None:
    """Cancels a task from inside its loop, unless the invocation is over by then: a late cancellation must not hit the
    next one."""

    def cancel() -> None:
        if runtime.is_pending(generation):
            task.cancel(runtime.interruption)

    task.get_loop().call_soon_threadsafe(cancel)


# ---- threads ------------------------------------------------------------------------------------------------------


class _Worker:
    """One thread that works for the invocation."""

    def __init__(self, ident: int, name: str, frame: "FrameType") -> None:
        self.ident = ident
        self.places = _places(frame, _pool_frame(frame))
        self.name = name
        self.seen: list[bool] = []


class _Workers:
    """The threads that work for an invocation: found when it is interrupted, and not before.

    Args:
        first: the interruption.
        workers: the threads.
    """

    def __init__(self, first: BaseException, workers: "list[_Worker]") -> None:
        self.first: Any = first
        self.workers = workers
        self.n_rounds = 0

    @classmethod
    def of(cls, first: BaseException, frame: "FrameType | None", elapsed_s: float) -> "_Workers":
        threading = sys.modules.get("threading")
        workers: list[_Worker] = []
        if threading is not None:
            joined = _joined(frame)
            frames = sys._current_frames()
            for ident, thread in list(threading._active.items()):
                at = frames.get(ident)
                if at is not None and thread is not threading.main_thread() and _works(thread, at, joined, elapsed_s):
                    workers.append(_Worker(ident, thread.name, at))
        self = cls(first, workers)
        first.workers = self  # type: ignore[attr-defined]
        first.threads += tuple((f"thread {w.name}", w.places) for w in workers)  # type: ignore[attr-defined]
        return self

    def interrupt(self) -> None:
        for worker in self.workers:
            raise_in_thread(worker.ident, _in_thread(self.first, worker.seen, is_exception=True))

    def insist(self) -> None:
        """The same for those that have seen it and are still there; this time as what `except Exception` lets pass."""
        frames = sys._current_frames()
        for worker in self.workers:
            if worker.seen and worker.ident in frames and not _is_over(frames[worker.ident]):
                raise_in_thread(worker.ident, _in_thread(self.first, worker.seen, is_exception=False))

    def are_unwinding(self) -> bool:
        """Whether one of them has seen the interruption and is still at work: to be waited for."""
        frames = sys._current_frames()
        return any(w.seen and w.ident in frames and not _is_over(frames[w.ident]) for w in self.workers)


def _pool_frame(frame: "FrameType") -> "FrameType | None":
    """The innermost frame of what called the thread's work."""
    last, at = None, frame
    while at.f_back is not None:
        at = at.f_back
        if at.f_globals.get("__name__") in _WAITS:
            last = last or at
        else:
            last = None
    return last


def _is_over(frame: "FrameType") -> bool:
    """Whether a pool's thread waits for its next work."""
    return frame.f_code.co_name == "_worker" and frame.f_globals.get("__name__") == "concurrent.futures.thread"


def _joined(frame: "FrameType | None") -> object:
    """The thread that the main thread waits for in join(), if it does."""
    while frame is not None:
        if frame.f_code.co_name == "join" and frame.f_globals.get("__name__") == "threading":
            return frame.f_locals.get("self")
        frame = frame.f_back
    return None


def _works(thread: "Any", frame: "FrameType", joined: object, elapsed_s: float) -> bool:
    """Whether a thread works for the invocation, and can be interrupted: it was started during the invocation, has work
    of a pool, or is waited for; and is not in a wait that has no end."""
    if _is_over(frame):
        return False
    if frame.f_globals.get("__name__") in _WAITS and frame.f_locals.get("timeout") is None:
        return False
    at: FrameType | None = frame
    base, has_work = "", False
    while at is not None:
        name = at.f_globals.get("__name__") or ""
        if name not in _WAITS:
            base = name
        elif at.f_code.co_name == "run" and name == "concurrent.futures.thread":
            has_work = True
        at = at.f_back
    if not base or base.startswith(_SERVICES):
        return False
    return has_work or thread is joined or _is_younger(thread, elapsed_s)


def _is_younger(thread: "Any", elapsed_s: float) -> bool:
    """Whether a thread was started within the last `elapsed_s` seconds, to within a tick of the kernel's clock."""
    from os import sysconf
    from time import CLOCK_BOOTTIME, clock_gettime

    try:
        with open(f"/proc/self/task/{thread.native_id}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        ticks_per_s = sysconf("SC_CLK_TCK")
        # Field 22 of proc_pid_stat(5), the time of its start; the second field, in brackets, and the first are cut off.
        started = (int(fields[19]) + 1) / ticks_per_s
    except (OSError, ValueError, IndexError):
        return False
    return started > clock_gettime(CLOCK_BOOTTIME) - elapsed_s
