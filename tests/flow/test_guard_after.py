"""What hangs after the response is told of before Lambda ends the process, and is not answered for a second time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from guarded import TIMEOUT_S, LocalFunction
from support import PATIENCE

TOLD = "What runs after the response has not come back"


def wait_for_report(function: LocalFunction) -> str:
    """The log, once the stack is in it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        log = function.log
        if "in hang" in log.partition(TOLD)[2]:
            return log
        time.sleep(0.01)
    raise AssertionError(function.log)


@pytest.mark.parametrize("target", ["hanging_after.handler", "hanging_after:Hooked"])
@pytest.mark.parametrize("do", ["sleep", "hold the lock in C"])
def test_a_callback_that_hangs_after_the_response_is_told_with_its_stack(do: str, target: str, tmp_path: Path) -> None:
    with LocalFunction(target, tmp_path) as function:
        started = time.monotonic()
        result = function.invoke(do)
        assert result.json() == function.process.pid
        log = wait_for_report(function)
        assert time.monotonic() - started < TIMEOUT_S, "told after the deadline"
        assert log.count(TOLD) == 1
        assert "hanging_after.py" in log.partition(TOLD)[2]
        assert function.exit_codes == [], "the guard ended what Lambda is to end"
        assert "RequestId" not in log
        assert "was answered with" not in log


def test_a_callback_that_comes_back_after_the_report_is_forgiven(tmp_path: Path) -> None:
    with LocalFunction("hanging_after.handler", tmp_path) as function:
        pid = function.ask(str(tmp_path / "go on"))
        wait_for_report(function)
        (tmp_path / "go on").touch()
        assert function.ask("nothing") == pid
        assert function.log.count(TOLD) == 1


def test_callbacks_that_come_back_in_time_are_not_told(tmp_path: Path) -> None:
    with LocalFunction("hanging_after.handler", tmp_path) as function:
        pids = {function.ask("nothing") for _ in range(20)}
        function.ask("sleep")
        wait_for_report(function)
        assert len(pids) == 1
        assert function.log.count(TOLD) == 1


def test_without_the_guard_nothing_is_told(tmp_path: Path) -> None:
    with LocalFunction("hanging_after.handler", tmp_path, {"FASTLAMBDA_GUARD": "0"}) as function:
        started = time.monotonic()
        pid = function.ask(str(tmp_path / "go on"))
        while time.monotonic() < started + TIMEOUT_S:
            time.sleep(0.05)
        (tmp_path / "go on").touch()
        assert function.ask("nothing") == pid
        assert TOLD not in function.log
