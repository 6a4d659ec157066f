"""Handlers that do not come back, one for each way of hanging, and what the tests ask them afterwards."""

import asyncio
import contextlib
import ctypes
import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import fastlambda

LONG = 3600.0


def sleep():
    time.sleep(LONG)


def say_and_sleep():
    print("it sleeps", file=sys.stderr, flush=True)
    time.sleep(LONG)


def busy():
    while True:
        pass


def recv():
    ours, theirs = socket.socketpair()
    ours.recv(1)
    theirs.close()


def child_process():
    child = subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({LONG})"])
    try:
        child.wait()
    finally:
        child.kill()
        child.wait()


def lock():
    held = threading.Lock()
    held.acquire()
    held.acquire()


def join():
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait, daemon=True)
    thread.start()
    try:
        thread.join()
    finally:
        ended.set()


def wait_for_queue():
    queue.Queue().get()


def wait_for_select():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        select.select([ours], [], [])


def except_exception():
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.01)


FINISHED = []


def slow_finally():
    try:
        time.sleep(LONG)
    finally:
        time.sleep(0.05)
        FINISHED.append("slow_finally")


def until_reports_can_be_told():
    while "fastlambda.failures" not in sys.modules:
        time.sleep(0.001)
    return True


class Unspeakable(Exception):
    def __str__(self):
        time.sleep(LONG)


def error_that_cannot_be_told():
    raise Unspeakable


def own_asyncio_run():
    asyncio.run(asyncio.sleep(LONG))


def catastrophic_regex():
    re.match(r"(a*)*$", "a" * 64 + "b")


def huge_pow():
    return pow(3, 10**12)


def swallow_everything():
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(0.01)


def gil_held_in_c():
    """A mutex that its owner locks again: no signal gets it out of there, and nobody else gets the GIL."""
    mutex = ctypes.create_string_buffer(128)
    library = ctypes.PyDLL(None)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


async def asyncio_sleep():
    try:
        await asyncio.sleep(LONG)
    finally:
        await asyncio.sleep(0.01)
        FINISHED.append("asyncio_sleep")


async def asyncio_blocking():
    time.sleep(LONG)


async def asyncio_blocking_in_a_child_task():
    async def child():
        time.sleep(LONG)

    await asyncio.gather(child(), asyncio.sleep(LONG))


async def asyncio_thread():
    stop = threading.Event()
    try:
        await asyncio.to_thread(stop.wait)
    finally:
        stop.set()


USERS_SIGNALS = []
signal.signal(signal.SIGALRM, lambda number, frame: USERS_SIGNALS.append(number))
signal.signal(signal.SIGUSR1, lambda number, frame: USERS_SIGNALS.append(number))


def state():
    return {"pid": os.getpid(), "finished": FINISHED, "signals": USERS_SIGNALS}


def users_signals():
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    os.kill(os.getpid(), signal.SIGUSR1)
    while len(USERS_SIGNALS) < 2:
        time.sleep(0.01)
    time.sleep(LONG)


def returns_anyway():
    try:
        time.sleep(LONG)
    except fastlambda.InvocationTimeout as exc:
        return exc.answer({"remaining_ms": exc.remaining_ms, "is_exception": isinstance(exc, Exception)})


def fork_comes_back():
    child = os.fork()
    if child == 0:
        return "from the child"
    _, status = os.waitpid(child, 0)
    return {"child": os.waitstatus_to_exitcode(status)}


def fork_raises():
    child = os.fork()
    if child == 0:
        raise ValueError("in the child")
    _, status = os.waitpid(child, 0)
    return {"child": os.waitstatus_to_exitcode(status)}


def fork_exits():
    child = os.fork()
    if child == 0:
        sys.exit(7)
    _, status = os.waitpid(child, 0)
    return {"child": os.waitstatus_to_exitcode(status)}


def fork_sleeps():
    """The child hangs on past the parent's deadline: it has no guard and no right to answer."""
    child = os.fork()
    if child == 0:
        time.sleep(0.5)
        return "from the child"
    return {"child": child}


def closes_everything():
    os.closerange(3, 256)
    gil_held_in_c()


# ---- streams ------------------------------------------------------------------------------------------------------


@fastlambda.streaming
def stream_then_sleep():
    yield b"one"
    time.sleep(LONG)


@fastlambda.streaming
def stream_then_hang():
    yield b"one"
    gil_held_in_c()


@fastlambda.streaming
def stream_then_error_that_cannot_be_told():
    yield b"one"
    raise Unspeakable


@fastlambda.streaming
async def stream_then_sleep_async():
    yield b"one"
    await asyncio.sleep(LONG)


@fastlambda.streaming
def stream_without_end():
    while True:
        yield b"x" * 65536


# ---- memory -------------------------------------------------------------------------------------------------------


def grow_in_small_steps():
    kept = []
    while True:
        kept.append(bytearray(b"x") * (1 << 20))


def grow_in_one_step():
    kept = bytearray(b"x") * (400 << 20)
    time.sleep(LONG)
    return len(kept)


def grow_in_native_code():
    """malloc and memset with the GIL held, 1 MB at a time."""
    library = ctypes.PyDLL(None)
    library.malloc.restype = ctypes.c_void_p
    library.malloc.argtypes = [ctypes.c_size_t]
    library.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    while True:
        library.memset(library.malloc(1 << 20), 1, 1 << 20)


def grow_and_swallow():
    kept = []
    while True:
        with contextlib.suppress(BaseException):
            kept.append(bytearray(b"x") * (1 << 20))


def grow_and_recover():
    kept = []
    try:
        while True:
            kept.append(bytearray(b"x") * (1 << 20))
    except fastlambda.MemoryExhausted as exc:
        kept.clear()
        return exc.answer({"is_memory_error": isinstance(exc, MemoryError)})


LEAKED = []


def leak():
    while True:
        LEAKED.append(bytearray(b"x") * (1 << 20))


def handler(event, context):
    return globals()[event["do"]]()


class AsyncHandler(fastlambda.Runner):
    async def run(self, shared, event):
        result = globals()[event.event["do"]]()
        return await result if hasattr(result, "__await__") else result
