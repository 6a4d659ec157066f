"""Handlers that swallow an interruption, one for each way of doing it, and those that answer it on purpose."""

import asyncio
import contextlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import fastlambda
from fastlambda import InvocationTimeout, StreamingResponse, http

LONG = 3600.0
EVENT = {
    "version": "2.0",
    "rawPath": "/",
    "rawQueryString": "",
    "headers": {"host": "x"},
    "requestContext": {
        "http": {"method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
        "domainName": "x",
    },
    "isBase64Encoded": False,
}


# ---- plain --------------------------------------------------------------------------------------------------------


def bare_except():
    try:
        time.sleep(LONG)
    except:  # noqa: E722
        return {"batchItemFailures": []}


def base_exception():
    try:
        time.sleep(LONG)
    except BaseException:
        return None


def finally_return():
    try:
        time.sleep(LONG)
    finally:
        return 1  # noqa: B012


def suppress():
    with contextlib.suppress(BaseException):
        time.sleep(LONG)


def exit_stack():
    with contextlib.ExitStack() as stack:
        stack.push(lambda *exc: True)
        time.sleep(LONG)
    return "done"


class Forgiving:
    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return True


def forgiving_exit():
    with Forgiving():
        time.sleep(LONG)
    return "done"


def another_error():
    try:
        time.sleep(LONG)
    except BaseException:
        raise ValueError("instead") from None


def chained_error():
    try:
        time.sleep(LONG)
    except BaseException as exc:
        raise RuntimeError("instead") from exc


def sys_exit():
    try:
        time.sleep(LONG)
    finally:
        sys.exit(0)


def keyboard_interrupt():
    try:
        time.sleep(LONG)
    except BaseException:
        raise KeyboardInterrupt from None


def generator_exit():
    try:
        time.sleep(LONG)
    except BaseException:
        raise GeneratorExit from None


def one_more_try():
    for n in range(2):
        try:
            if n == 0:
                time.sleep(LONG)
            return "second try"
        except BaseException:
            continue


def break_out_of_finally():
    for _ in range(1):
        try:
            time.sleep(LONG)
        finally:
            break  # noqa: B012
    return "done"


def nested_finally():
    try:
        try:
            time.sleep(LONG)
        finally:
            raise KeyError("inner")
    except KeyError:
        return "done"


def generator_finally():
    def rows():
        try:
            time.sleep(LONG)
            yield 1
        finally:
            return  # noqa: B012

    return list(rows())


def except_group():
    try:
        time.sleep(LONG)
    except* BaseException:
        pass
    return "done"


def in_del():
    class Slow:
        def __del__(self):
            time.sleep(LONG)

    Slow()
    return "done"


def in_a_callback():
    import weakref

    class Thing:
        pass

    thing = Thing()
    kept = weakref.ref(thing, lambda _: time.sleep(LONG))
    del thing
    return kept() is None


def exception_of_a_future():
    with ThreadPoolExecutor(1) as pool:
        try:
            return str(type(pool.submit(busy).exception()))
        except BaseException:
            return "done"


def busy():
    while True:
        time.sleep(0.001)


def wrapped():
    """What datadog_lambda's wrapper does."""
    response = None
    try:
        response = time.sleep(LONG)
    except Exception:
        raise
    except BaseException as exc:
        if "BlockingException" in type(exc).__name__:
            response = "blocked"
    return response


def asyncio_run():
    async def main():
        try:
            await asyncio.sleep(LONG)
        except BaseException:
            return "done"

    try:
        return asyncio.run(main())
    except BaseException:
        return "done"


def another_value_than_the_answer():
    try:
        time.sleep(LONG)
    except InvocationTimeout as timeout:
        return dict(timeout.answer({"copied": True}))


def an_answer_that_is_raised():
    try:
        time.sleep(LONG)
    except InvocationTimeout as timeout:
        timeout.answer(None)
        raise


# ---- tasks --------------------------------------------------------------------------------------------------------


async def task_swallows():
    try:
        await asyncio.sleep(LONG)
    except BaseException:
        return "done"


async def task_finally():
    try:
        await asyncio.sleep(LONG)
    finally:
        return "done"  # noqa: B012


async def task_blocks_and_swallows():
    with contextlib.suppress(BaseException):
        time.sleep(LONG)
    return "done"


async def gathered():
    with contextlib.suppress(BaseException):
        await asyncio.gather(asyncio.sleep(LONG), asyncio.sleep(LONG), return_exceptions=True)
    return "done"


async def shielded():
    try:
        await asyncio.shield(asyncio.sleep(LONG))
    except asyncio.CancelledError:
        return "done"


async def waited_for():
    try:
        async with asyncio.timeout(LONG):
            await asyncio.sleep(LONG)
    except (TimeoutError, asyncio.CancelledError):
        return "done"


async def grouped():
    async def child():
        time.sleep(LONG)

    with contextlib.suppress(BaseException):
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
    return "done"


async def task_raises_another():
    try:
        await asyncio.sleep(LONG)
    except BaseException:
        raise ValueError("instead") from None


# ---- streams ------------------------------------------------------------------------------------------------------


def stream_swallows():
    yield b"beginning,"
    with contextlib.suppress(BaseException):
        time.sleep(LONG)
    yield b"as if it were the end"


def stream_finally():
    yield b"beginning,"
    try:
        time.sleep(LONG)
    finally:
        return  # noqa: B012


async def stream_of_a_task():
    yield b"beginning,"
    with contextlib.suppress(BaseException):
        await asyncio.sleep(LONG)
    yield b"as if it were the end"


def stream_closed_by_hand(context):
    stream = context.response_stream()
    stream.write(b"beginning,")
    with contextlib.suppress(BaseException):
        time.sleep(LONG)
    stream.close()


def stream_block(context):
    with context.response_stream() as stream:
        stream.write(b"beginning,")
        with contextlib.suppress(BaseException):
            time.sleep(LONG)


# ---- applications -------------------------------------------------------------------------------------------------


async def respond(send, status, body):
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def application(scope, receive, send):
    do = scope["aws.event"]["do"]
    status = 200
    try:
        if do.endswith("blocks"):
            time.sleep(LONG)
        await asyncio.sleep(LONG)
    except InvocationTimeout as timeout:
        if "answer" in do:
            timeout.answer(None)
        status = 500 if do.endswith("500") else 503
    except BaseException:
        status = 500
    await respond(send, status, b"from the application")


def wsgi_application(environ, start_response):
    do = environ["aws.event"]["do"]
    try:
        time.sleep(LONG)
    except InvocationTimeout as timeout:
        if "answer" in do:
            timeout.answer(None)
    start_response("500 no" if do.endswith("500") else "503 later", [])
    return [b"from the application"]


ASGI = http.asgi(application, lifespan="off")
STREAMED_ASGI = http.asgi(application, lifespan="off", stream=True)
WSGI = http.wsgi(wsgi_application)

# ---- on purpose ---------------------------------------------------------------------------------------------------


def answers():
    try:
        time.sleep(LONG)
    except InvocationTimeout as timeout:
        return timeout.answer({"partial": True})


def answers_none():
    try:
        time.sleep(LONG)
    except InvocationTimeout as timeout:
        return timeout.answer(None)


async def task_answers():
    try:
        await asyncio.sleep(LONG)
    except InvocationTimeout as timeout:
        assert isinstance(timeout, asyncio.CancelledError)
        return timeout.answer({"partial": True})


async def task_that_blocks_answers():
    try:
        time.sleep(LONG)
    except InvocationTimeout as timeout:
        return timeout.answer({"partial": True})


async def task_answers_after_its_children():
    try:
        await asyncio.gather(asyncio.sleep(LONG), asyncio.sleep(LONG))
    except InvocationTimeout as timeout:
        return timeout.answer({"partial": True})


def stream_answers():
    yield b"beginning,"
    try:
        time.sleep(LONG)
    except InvocationTimeout as timeout:
        yield timeout.answer(b"partial")


async def stream_of_a_task_answers():
    yield b"beginning,"
    try:
        await asyncio.sleep(LONG)
    except InvocationTimeout as timeout:
        yield timeout.answer(b"partial")


def stream_by_hand_answers(context):
    with context.response_stream() as stream:
        stream.write(b"beginning,")
        try:
            time.sleep(LONG)
        except InvocationTimeout as timeout:
            stream.write(timeout.answer(b"partial"))
    return None


def handler(event, context):
    do = event["do"]
    if do == "pid":
        return os.getpid()
    if do.startswith("asgi"):
        return ASGI({**EVENT, "do": do}, context)
    if do.startswith("streamed_asgi"):
        return STREAMED_ASGI({**EVENT, "do": do}, context)
    if do.startswith("wsgi"):
        return WSGI({**EVENT, "do": do}, context)
    if do in ("stream_closed_by_hand", "stream_block", "stream_by_hand_answers"):
        return globals()[do](context)
    result = globals()[do]()
    return StreamingResponse(result) if do.startswith("stream") else result


def start(runtime):
    ASGI.fastlambda_start(runtime)
    STREAMED_ASGI.fastlambda_start(runtime)


handler.fastlambda_start = start


class Async(fastlambda.Runner):
    async def run(self, shared, event):
        do = event.event["do"]
        return os.getpid() if do == "pid" else await globals()[do]()


class Sync(fastlambda.Runner):
    def run(self, shared, event):
        return handler(event.event, event.ctx)
