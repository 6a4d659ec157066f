"""The guard when the function has taken its signals or its stderr away: it still reports, and writes nowhere else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from functions_env import functions_env
from guarded import LocalFunction
from support import PATIENCE

from fastlambda.local.endpoint import Result, RuntimeApi


@pytest.fixture
def function(tmp_path: Path) -> Iterator[LocalFunction]:
    with LocalFunction("taken_functions.handler", tmp_path) as function:
        yield function


def invoke(function: LocalFunction, do: str, how: str = "", timeout_s: float = 2, **more: Any) -> Result:
    event = {"do": do, "how": how, "file": str(function.log_path.with_name("file")), **more}
    return function.api.invoke(json.dumps(event).encode(), timeout_s=timeout_s)


def is_reported(result: Result) -> None:
    assert result.error_type == "Runtime.InvocationTimeout", result
    assert "could not be interrupted" in result.error["errorMessage"]


def test_a_handler_that_resets_all_signals_is_reported_and_the_stacks_are_written(function: LocalFunction) -> None:
    is_reported(invoke(function, "no_signals", "hang"))
    assert invoke(function, "", timeout_s=PATIENCE).ok
    assert function.exit_codes == [124], "ended by the guard and not by its signal"
    assert "in hang" in function.log


def test_a_handler_that_resets_all_signals_and_hangs_after_the_response_goes_on(function: LocalFunction) -> None:
    assert invoke(function, "no_signals", "hang after", after_s=1.9).ok
    assert invoke(function, "", timeout_s=PATIENCE).ok
    assert "What runs after the response has not come back" in function.log
    assert function.exit_codes == []


def test_the_stacks_go_to_the_stderr_that_was_there_at_the_start(function: LocalFunction) -> None:
    is_reported(invoke(function, "another_stderr", "hang"))
    assert invoke(function, "", timeout_s=PATIENCE).ok
    assert function.log.count("[ERROR] Runtime.InvocationTimeout") == 1
    assert "in hang" in function.log
    assert function.log_path.with_name("file").read_bytes() == b""


def test_what_hangs_after_the_response_is_told_on_the_stderr_of_the_start(function: LocalFunction) -> None:
    assert invoke(function, "another_stderr", "hang after", after_s=1.9).ok
    assert invoke(function, "", timeout_s=PATIENCE).ok
    assert "What runs after the response has not come back" in function.log
    assert "in <lambda>" in function.log
    # One line: the runtime's own, by sys.stderr, about its descriptor that was closed.
    assert "has not come back" not in function.log_path.with_name("file").read_text()
    assert "Thread" not in function.log_path.with_name("file").read_text()


def test_where_that_stderr_is_gone_nothing_is_written_into_what_has_its_number(function: LocalFunction) -> None:
    is_reported(invoke(function, "no_stderr", "hang"))
    assert invoke(function, "", timeout_s=PATIENCE).ok
    assert function.exit_codes == [124]
    assert function.log_path.with_name("file").read_bytes() == b""


def test_a_child_that_lives_on_does_not_hold_the_stderr_that_was_kept() -> None:
    with RuntimeApi() as api:
        process = subprocess.Popen(
            [sys.executable, "-m", "fastlambda", "taken_functions.handler"],
            env=functions_env(AWS_LAMBDA_RUNTIME_API=api.address),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        child = api.invoke(b'{"do": "daemon", "how": ""}', timeout_s=PATIENCE).json()
        try:
            process.kill()
            process.wait(PATIENCE)
            os.kill(child, 0)  # it lives
            assert process.stderr.read() == b""  # to its end, which comes when nobody holds it
        finally:
            os.kill(child, signal.SIGKILL)
            process.stderr.close()
