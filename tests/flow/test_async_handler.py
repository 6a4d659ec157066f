"""Handlers that are `async def`, and Runner classes named as `module.Class`."""

from __future__ import annotations

import pytest

from fastlambda.local.process import Function

APP = """
import asyncio
import contextvars
import functools

from fastlambda import Runner

SEEN = contextvars.ContextVar("seen", default=0)
LOOPS = set()


async def handler(event, context):
    SEEN.set(SEEN.get() + 1)
    await asyncio.sleep(0)
    LOOPS.add(asyncio.get_running_loop())
    return {"event": event, "seen": SEEN.get(), "loops": len(LOOPS), "id": context.aws_request_id}


def decorated(function):
    @functools.wraps(function)
    def inner(*args):
        return function(*args)

    return inner


wrapped = decorated(handler)
partial = functools.partial(handler)


class Callable:
    async def __call__(self, event, context):
        return await handler(event, context)


instance = Callable()


async def fails(event, context):
    await asyncio.sleep(0)
    raise KeyError("no such order")


async def hangs(event, context):
    if event == "hang":
        await asyncio.sleep(60)
    return event


class Orders(Runner[int, dict, dict]):
    def setup(self, region):
        return 3

    def run(self, shared, event):
        return {"n": event.event["n"] * shared}


class Plain:
    def __init__(self, event, context):
        raise KeyError("a class that is no Runner is called, as under AWS's client")
"""


@pytest.fixture
def function(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    made: list[Function] = []

    def make(handler: str, **more) -> Function:
        made.append(Function(handler, cwd=tmp_path, **{"timeout_s": 30, **more}))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.mark.parametrize("name", ["handler", "wrapped", "partial", "instance"])
def test_each_form_is_awaited_on_one_loop_with_fresh_context_variables(function, name: str) -> None:
    f = function(f"app.{name}")
    for n in range(3):
        report = f.invoke(b'{"n":%d}' % n, request_id=f"r-{n}")
        assert report.result.json() == {"event": {"n": n}, "seen": 1, "loops": 1, "id": f"r-{n}"}
    assert f.starts == 1


def test_what_it_raises_is_the_functions_error(function) -> None:
    f = function("app.fails")
    error = f.invoke(b"{}").result.error
    assert (error["errorType"], error["errorMessage"]) == ("KeyError", "'no such order'")
    assert error["stackTrace"] and all("asyncio" not in frame for frame in error["stackTrace"])


def test_a_time_out_is_told_and_final(function) -> None:
    f = function("app.hangs", timeout_s=2)
    assert f.invoke(b'"ok"').result.json() == "ok"
    error = f.invoke(b'"hang"').result.error
    assert error["errorType"] == "Runtime.InvocationTimeout"
    assert any("await asyncio.sleep(60)" in frame for frame in error["stackTrace"])
    assert f.invoke(b'"ok"').result.json() == "ok"
    assert f.starts == 2


def test_a_runner_may_be_named_with_a_dot(function) -> None:
    assert function("app.Orders").invoke(b'{"n":2}').result.json() == {"n": 6}


def test_another_class_is_called(function) -> None:
    assert function("app.Plain").invoke(b"{}").result.error["errorType"] == "KeyError"
