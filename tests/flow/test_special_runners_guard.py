"""The special Runners when time or memory runs out, with the real guard in a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from batches import failures, sqs_record
from function_process import FunctionProcess
from response_url import ResponseUrl, request
from support import PATIENCE, ROOT

# A second is left after the interruption: these tests are about what is answered, not about how fast.
KEEP = {"FASTLAMBDA_AFTER_TIMEOUT": "keep"}
MARGIN = {"FASTLAMBDA_TIMEOUT_MARGIN_MS": "1000", **KEEP}
INSIDE = [sys.executable, str(ROOT / "tests" / "flow" / "batch_functions.py")]


@pytest.mark.parametrize(
    ("runner", "bodies", "not_done", "inside"),
    [
        ("Slow", ["a", "hang", "b", "c"], ["m1", "m2", "m3"], False),
        ("SlowAsync", ["a", "hang", "b", "c"], ["m1"], False),
        ("SlowAsync", ["a", "block", "b", "c", "d"], ["m1"], False),
        ("SlowAsync", ["a", "hang", "b", "c"], ["m1"], True),
        ("SlowAsync", ["a", "hang", "b", "block"], ["m1", "m3"], True),
    ],
    ids=["def", "async def", "async def that blocks", "in a loop of the user's", "in a loop of the user's that blocks"],
)
def test_a_batch_that_takes_too_long_keeps_what_is_done(
    runner: str, bodies: list[str], not_done: list[str], inside: bool, tmp_path: Path
) -> None:
    batch = {"Records": [sqs_record(f"m{i}", body) for i, body in enumerate(bodies)]}
    with FunctionProcess(
        f"batch_functions:{runner}", tmp_path / "log", {**MARGIN, "RUNNER": runner}, command=INSIDE if inside else None
    ) as function:
        result = function.invoke(batch, timeout_s=2)
        assert result.ok, result.body
        assert set(not_done) <= set(failures(result.json()))
        assert "m0" not in failures(result.json())
        if "block" not in bodies:
            assert failures(result.json()) == not_done
        quick = function.invoke({"Records": [sqs_record("q", "quick")]})
        assert failures(quick.json()) == []
        assert function.process.poll() is None
        assert "records were done, the others come again" in function.log


def test_a_cancellation_of_the_users_own_ends_the_loop_after_its_answer(tmp_path: Path) -> None:
    batch = {"Records": [sqs_record("m0", "a"), sqs_record("m1", "leave"), sqs_record("m2", "b")]}
    with FunctionProcess("x:Leaves", tmp_path / "log", {"RUNNER": "Leaves"}, command=INSIDE) as function:
        assert "m1" in failures(function.invoke(batch).json())
        assert function.process.wait(PATIENCE) == 7


@pytest.mark.parametrize("runner", ["Thing", "AsyncThing"])
def test_a_custom_resource_that_takes_too_long_is_answered_in_time(runner: str, tmp_path: Path) -> None:
    with FunctionProcess(f"resource_functions:{runner}", tmp_path / "log", KEEP) as function:
        for _ in range(1 if runner == "Thing" else 2):
            with ResponseUrl() as there:
                result = function.invoke(request(there.url, ResourceProperties={"Do": "hang"}), timeout_s=4)
                assert result.ok, result.body
                assert there.answer["Status"] == "FAILED"
                assert "Runtime.InvocationTimeout" in there.answer["Reason"]
                assert result.duration_s < 3.5, "there is time left to answer, also over a slow network"
        assert function.process.poll() is None


def test_a_custom_resource_that_needs_too_much_memory_is_answered(tmp_path: Path) -> None:
    env = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128"}
    with FunctionProcess("resource_functions:Thing", tmp_path / "log", env) as function, ResponseUrl() as there:
        result = function.invoke(request(there.url, ResourceProperties={"Do": "eat"}))
        assert result.ok, result.body
        assert there.answer["Status"] == "FAILED"
        assert "Runtime.MemoryExhausted" in there.answer["Reason"]
