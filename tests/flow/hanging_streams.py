"""Streams that do not come to an end, one for each way of hanging."""

import asyncio
import ctypes
import os
import time

from fastlambda import HttpStream, StreamingResponse

LONG = 3600.0


def gil_held_in_c():
    mutex = ctypes.create_string_buffer(128)
    library = ctypes.PyDLL(None)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


def sleep():
    yield b"beginning,"
    time.sleep(LONG)


def sleep_first():
    time.sleep(LONG)
    yield b"never"


def sleep_after_headers():
    yield HttpStream(200)
    time.sleep(LONG)


async def asynchronous():
    yield b"beginning,"
    await asyncio.sleep(LONG)


def stuck():
    yield b"beginning,"
    gil_held_in_c()


def stuck_first():
    gil_held_in_c()
    yield b"never"


def swallow():
    yield b"beginning,"
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


def endless():
    while True:
        yield bytes(65536)


def coalesced():
    yield b"beginning,"
    time.sleep(LONG)


def handler(event, context):
    do = event["do"]
    if do == "pid":
        return os.getpid()
    if do == "imperative":
        context.response_stream().write(b"beginning,")
        time.sleep(LONG)
    if do == "coalesced":
        return StreamingResponse(coalesced(), coalesce_bytes=1000, coalesce_ms=1)
    return StreamingResponse(globals()[do]())
