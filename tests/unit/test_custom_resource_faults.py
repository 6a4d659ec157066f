"""What can go wrong with a custom resource, phase by exception: each is answered, and answered once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from response_url import ResponseUrl, request

from fastlambda import InvocationTimeout, MemoryExhausted, exec_test, upload
from fastlambda.custom_resource import NOT_CREATED, CustomResourceRunner, Resource, ResourceRequest


class Own(BaseException):
    """What no `except Exception` catches."""


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


EXCEPTIONS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("x"),
    "OSError": lambda: OSError(5, "x"),
    "MemoryError": MemoryError,
    "RecursionError": lambda: RecursionError("x"),
    "StopIteration": lambda: StopIteration("x"),
    "StopAsyncIteration": StopAsyncIteration,
    "AssertionError": AssertionError,
    "one without words": Mute,
    "a text with half of a pair": lambda: ValueError("\ud800"),
    "ExceptionGroup": lambda: ExceptionGroup("x", [ValueError("y")]),
    "BaseExceptionGroup": lambda: BaseExceptionGroup("x", [SystemExit(1)]),
    "sys.exit()": SystemExit,
    "sys.exit(3)": lambda: SystemExit(3),
    "sys.exit(text)": lambda: SystemExit("x"),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "TimeoutError": TimeoutError,
    "InvocationTimeout": lambda: InvocationTimeout("x"),
    "MemoryExhausted": lambda: MemoryExhausted("x"),
    "an own BaseException": Own,
}


class Failing:
    """Raises when it is at the place that the test is about, `n` times."""

    def __init__(self, phase: str, make: Callable[[], BaseException], n: int = 1_000) -> None:
        self.phase = phase
        self.make = make
        self.left = n

    def __call__(self, phase: str) -> None:
        if phase == self.phase and self.left:
            self.left -= 1
            raise self.make()


at: Failing


@dataclasses.dataclass
class Properties:
    Size: int

    def __post_init__(self) -> None:
        at("decode")


class Data(Mapping[str, str]):
    def __getitem__(self, key: str) -> str:
        at("encode")
        return "value"

    def __iter__(self) -> Iterator[str]:
        return iter(["Name"])

    def __len__(self) -> int:
        return 1


class Thing(CustomResourceRunner[None, Properties]):
    def setup(self, region: str | None) -> None:
        at("setup")

    def create(self, shared: None, request: ResourceRequest[Properties]) -> Any:
        at("create")
        return Resource("made", Data())

    def update(self, shared: None, request: ResourceRequest[Properties]) -> Any:
        at("update")

    def delete(self, shared: None, request: ResourceRequest[Properties]) -> Any:
        at("delete")


class AsyncThing(CustomResourceRunner[None, Properties]):
    async def setup(self, region: str | None) -> None:
        await asyncio.sleep(0)
        at("async setup")
        await asyncio.create_task(self.later("task of setup"))

    async def later(self, phase: str) -> None:
        await asyncio.sleep(0)
        at(phase)

    async def create(self, shared: None, request: ResourceRequest[Properties]) -> Resource:
        await self.later("async create")
        await asyncio.create_task(self.later("task of create"))
        return Resource("made")

    async def update(self, shared: None, request: ResourceRequest[Properties]) -> None:
        await asyncio.gather(self.later("async update"), self.later("task of update"))

    async def delete(self, shared: None, request: ResourceRequest[Properties]) -> None:
        await asyncio.shield(self.later("task of delete"))
        await self.later("async delete")


NOT_MADE = f"{NOT_CREATED}shop-Thing-5478764d-b2a6-4dd8-9d0f-1f2e3d4c5b6a"
# Phase: the class, the request that meets it, and the id that CloudFormation is told.
PHASES: dict[str, tuple[type, str, str]] = {
    "setup": (Thing, "Create", NOT_MADE),
    "async setup": (AsyncThing, "Update", "thing-1"),
    "task of setup": (AsyncThing, "Create", NOT_MADE),
    "decode": (Thing, "Update", "thing-1"),
    "create": (Thing, "Create", NOT_MADE),
    "async create": (AsyncThing, "Create", NOT_MADE),
    "task of create": (AsyncThing, "Create", NOT_MADE),
    "update": (Thing, "Update", "thing-1"),
    "async update": (AsyncThing, "Update", "thing-1"),
    "task of update": (AsyncThing, "Update", "thing-1"),
    "delete": (Thing, "Delete", "thing-1"),
    "async delete": (AsyncThing, "Delete", "thing-1"),
    "task of delete": (AsyncThing, "Delete", "thing-1"),
    "encode": (Thing, "Create", "made"),
}


@pytest.mark.parametrize("name", EXCEPTIONS)
@pytest.mark.parametrize("phase", PHASES)
def test_each_exception_in_each_phase_is_answered_once(phase: str, name: str) -> None:
    global at
    at = Failing(phase, EXCEPTIONS[name])
    thing, request_type, physical_id = PHASES[phase]
    with ResponseUrl() as there, ResponseUrl() as next_one:
        events = [request(there.url, request_type)]
        told, *_ = exec_test(thing, {"invocations": events})
        assert len(there.puts) == 1
        assert there.answer["Status"] == "FAILED"
        assert there.answer["PhysicalResourceId"] == physical_id
        assert told["Status"] == "FAILED"
        # The next request finds a function that works, when the fault has passed.
        at = Failing(phase, EXCEPTIONS[name], 1)
        exec_test(thing, {"invocations": [request(there.url, request_type), request(next_one.url, request_type)]})
        assert next_one.answer["Status"] == "SUCCESS"


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_each_exception_during_the_upload_leaves_the_answer_as_it_was(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    global at
    at = Failing("upload", EXCEPTIONS[name], 1)
    put = upload.put

    def failing_put(*args: Any) -> int:
        at("upload")
        return put(*args)

    monkeypatch.setattr(upload, "put", failing_put)
    with ResponseUrl() as there:
        exec_test(Thing, {"invocations": [request(there.url)]})
        assert len(there.puts) == 1
        assert (there.answer["Status"], there.answer["PhysicalResourceId"]) == ("SUCCESS", "made")
