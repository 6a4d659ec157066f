"""Streaming functions that tests start in processes of their own."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

from fastlambda import HttpStream, Runner, StreamingResponse, streaming


@streaming(content_type="text/plain")
def generator(event, context):
    yield "first,"
    yield b"second,"
    yield bytearray(b"third,")
    yield memoryview(b"fourth")


@streaming(content_type="text/plain")
async def async_generator(event, context):
    yield "first,"
    await asyncio.sleep(0)
    yield b"second,"
    yield bytearray(b"third,")
    yield memoryview(b"fourth")


def response(event, context):
    return StreamingResponse(["first,", b"second,", b"third,", b"", "fourth"], content_type="text/plain")


def imperative(event, context):
    with context.response_stream("text/plain") as stream:
        for chunk in ("first,", b"second,", b"third,", b"", "fourth"):
            stream.write(chunk)


def open_at_the_end(event, context):
    stream = context.response_stream("text/plain")
    for chunk in ("first,", b"second,", b"third,", "fourth"):
        stream.write(chunk)
    return "not counted"


class SyncRunner(Runner[None, dict, Iterator[bytes]]):
    def run(self, shared, event):
        yield from (b"first,", b"second,", b"third,", b"fourth")


class AsyncRunner(Runner[None, dict, AsyncIterator[bytes]]):
    async def run(self, shared, event):
        for chunk in (b"first,", b"second,", b"third,", b"fourth"):
            await asyncio.sleep(0)
            yield chunk


def http(event, context):
    return StreamingResponse([b"body"], http=HttpStream(201, {"X-A": "1", "Set-Cookie": "a=1; Path=/"}, ["b=2"]))


@streaming
def http_yielded(event, context):
    yield HttpStream(201, {"X-A": "1", "Set-Cookie": "a=1; Path=/"}, ["b=2"])
    yield b"body"


def accident(event, context):
    yield b"never sent"


class Odd(Exception):
    pass


def _fail(how):
    if how == "exit":
        raise SystemExit(3)
    if how == "type":
        return {"not": "a chunk"}
    if how == "surrogate":
        return "\ud800"
    raise Odd("as asked " + how * 3000 if how == "long" else "as asked")


def failing(event, context):
    """Fails as the event says, and answers with its process when it says nothing."""
    how = event.get("fail")

    def chunks():
        if event.get("when") == "first":
            yield _fail(how)
        yield b"beginning,"
        yield _fail(how)
        yield b"never sent"

    return StreamingResponse(chunks()) if how else os.getpid()


def failing_imperative(event, context):
    if not event.get("fail"):
        return os.getpid()
    stream = context.response_stream()
    if event.get("when") != "first":
        stream.write(b"beginning,")
    if event.get("when") == "closed":
        stream.close()
    stream.write(_fail(event["fail"]))


def big(event, context):
    """`n` chunks of `size` bytes; its growth in KiB afterwards goes to the log."""
    chunk = bytes(range(256)) * (event["size"] // 256)

    def resident():
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024

    def chunks():
        yield chunk
        before = resident()
        for _ in range(event["n"] - 1):
            yield chunk
        print(f"growth {resident() - before} KiB", flush=True)

    return StreamingResponse(chunks())
