"""Runners: declaring, running in this process, and what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from support import clean_env

import fastlambda
from fastlambda import Config, LambdaEvent, Runner, TestData
from fastlambda.errors import MarshalError, UnmarshalError, UsageError


class Doubles(Runner[int, dict, dict]):
    def setup(self, region: str | None) -> int:
        return 2

    def run(self, shared: int, event: LambdaEvent[dict]) -> dict:
        return {"n": event.event["n"] * shared, "region": event.region, "id": event.ctx.aws_request_id}


class AsyncDoubles(Runner[int, dict, dict]):
    loops: list[object] = []

    async def setup(self, region: str | None) -> int:
        import asyncio

        self.loops.append(asyncio.get_running_loop())
        return 2

    async def run(self, shared: int, event: LambdaEvent[dict]) -> dict:
        import asyncio

        await asyncio.sleep(0)
        self.loops.append(asyncio.get_running_loop())
        return {"n": event.event["n"] * shared}


@pytest.mark.parametrize(
    "data",
    [
        {"region": "eu-central-1", "invocations": [{"n": 1}, {"n": 2}]},
        '{"region": "eu-central-1", "invocations": [{"n": 1}, {"n": 2}]}',
        b'{"region": "eu-central-1", "invocations": [{"n": 1}, {"n": 2}]}',
        TestData([{"n": 1}, {"n": 2}], "eu-central-1"),
    ],
    ids=["dict", "text", "bytes", "TestData"],
)
def test_exec_test_returns_one_result_for_each_event(data: Any) -> None:
    results = fastlambda.exec_test(Doubles, data)
    assert [(r["n"], r["region"]) for r in results] == [(2, "eu-central-1"), (4, "eu-central-1")]
    assert len({r["id"] for r in results}) == 2


def test_an_async_runner_keeps_one_event_loop_for_all_invocations() -> None:
    AsyncDoubles.loops.clear()
    results = fastlambda.exec_test(AsyncDoubles, {"invocations": [{"n": 1}, {"n": 2}]})
    assert results == [{"n": 2}, {"n": 4}]
    assert len(AsyncDoubles.loops) == 3 and len(set(AsyncDoubles.loops)) == 1


def test_exec_test_raises_what_the_runner_raises() -> None:
    with pytest.raises(KeyError, match="n"):
        fastlambda.exec_test(Doubles, {"invocations": [{}]})


@pytest.mark.parametrize("data", ["{", "[]", {"region": "x"}, {"invocations": 3}], ids=["cut", "list", "none", "int"])
def test_test_data_of_another_form_is_refused_with_what_it_should_be(data: Any) -> None:
    with pytest.raises(UsageError, match="test data"):
        fastlambda.exec_test(Doubles, data)


def test_a_result_that_cannot_be_encoded_is_told_in_tests_too() -> None:
    class Bad(Runner[None, object, object]):
        def run(self, shared: None, event: LambdaEvent[object]) -> object:
            return {1, 2}

    with pytest.raises(MarshalError, match="set is not JSON serializable"):
        fastlambda.exec_test(Bad, {"invocations": [1]})


def test_an_event_that_is_not_json_is_an_unmarshal_error() -> None:
    with pytest.raises(UnmarshalError, match="Unable to unmarshal input"):
        fastlambda.exec_test(Doubles, TestData([b"{"]))


def test_a_class_that_is_no_runner_is_refused() -> None:
    with pytest.raises(UsageError, match=r"subclass of fastlambda\.Runner"):
        fastlambda.exec_test(dict, {"invocations": []})  # type: ignore[arg-type]


def test_a_runner_without_run_says_so() -> None:
    class Empty(Runner[None, object, object]):
        pass

    with pytest.raises(NotImplementedError, match="Empty does not define run"):
        fastlambda.exec_test(Empty, {"invocations": [1]})


def test_exec_without_a_runtime_api_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="fastlambda invoke"):
        fastlambda.exec(Doubles, Config())


@pytest.mark.parametrize(
    "address", ["", "host", "http://127.0.0.1:80", "host:0", "host:x", "ho st:80", "host:80\r\nX: y", "höst:80"]
)
def test_an_address_that_is_not_host_and_port_is_refused(address: str) -> None:
    with pytest.raises(UsageError):
        fastlambda.exec(Doubles, Config(runtime_api=address))


def test_context_attributes_can_be_set_freely_as_on_an_ordinary_object() -> None:
    class Sets(Runner[None, object, object]):
        def run(self, shared: None, event: LambdaEvent[object]) -> object:
            event.ctx.aws_request_id = "mine"
            event.ctx.anything = 1
            return [event.ctx.aws_request_id, event.ctx.anything, event.ctx.request_id]

    assert fastlambda.exec_test(Sets, {"invocations": [0]}) == [["mine", 1, "test-1"]]


def test_declaring_and_running_a_runner_imports_neither_typing_nor_asyncio() -> None:
    code = """
import sys
from fastlambda import Runner, exec_test
class R(Runner[int, dict, dict]):
    def run(self, shared, event): return event.event
before = set(sys.modules)
from fastlambda import TestData, LambdaEvent, Config
LambdaEvent[dict]
assert not {"typing", "asyncio", "inspect", "dataclasses", "orjson", "msgspec", "re", "enum"} & before, before
"""
    subprocess.run([sys.executable, "-c", code], env=clean_env(), check=True)
