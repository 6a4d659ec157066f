"""Tools that record what becomes of an invocation hear of its interruption before the process ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from guarded import LocalFunction

pytestmark = pytest.mark.skipif(sys.version_info >= (3, 14), reason="the packages are not installed there")


def test_a_step_of_a_durable_function_becomes_a_failure_that_uses_up_a_retry(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints"
    env = {"CHECKPOINTS": str(file)}
    with LocalFunction("durable_functions.handler", tmp_path, env, timeout_s=6.0) as function:
        function.ask("pid")
        result = function.invoke("run")
        assert result.error_type == "Runtime.InvocationTimeout", result
        assert "in slow" in "".join(result.error["stackTrace"]), "the thread's stack is not told"
        assert "interrupted" in result.error["errorMessage"], "the thread had to answer"
        updates = [json.loads(line) for line in file.read_text().splitlines()]
        assert [u["Action"] for u in updates] == ["START", "RETRY"], updates
        assert "InvocationTimeout" in updates[1]["Error"]["ErrorType"]
        assert function.ask("pid")
        assert function.exit_codes == [124]


def test_a_swallowed_interruption_is_an_error_in_the_tools_and_leaves_before_the_process_ends(tmp_path: Path) -> None:
    file = tmp_path / "sent"
    with LocalFunction("watched_functions.handler", tmp_path, {"OUT": str(file)}, timeout_s=6.0) as function:
        function.ask("pid")
        assert function.invoke("swallow").error_type == "Runtime.InvocationTimeout"
        assert function.ask("pid")
        assert function.exit_codes == [124]
    sent = [json.loads(line) for line in file.read_text().splitlines()]
    assert {"span": "work", "status": "ERROR"} in sent
    assert {"event": ["InvocationTimeout"]} in sent
    assert {"flushed": True} in sent
