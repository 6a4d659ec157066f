"""One record is one line of the log, whatever its message says; and what is printed reaches no connection."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from function_process import FunctionProcess
from functions_env import functions_env
from support import PATIENCE

from fastlambda.local.endpoint import RuntimeApi


@pytest.mark.parametrize("do", ["record", "argument", "traceback", "stack", "uncaught", "after"])
@pytest.mark.parametrize("form", ["Text", "JSON"])
def test_a_record_is_one_line_whatever_its_message_says(do: str, form: str, tmp_path: Path) -> None:
    env = {"AWS_LAMBDA_LOG_FORMAT": form}
    with FunctionProcess("forging_functions.handler", tmp_path / "log", env) as function:
        function.invoke({"do": do})
        function.invoke({"do": "argument"})  # what is told after the response of the first is there by then
        lines = function.log_path.read_bytes().decode().split("\n")
    assert len(lines) == 3, lines
    assert not any(line.startswith(("REPORT", "END")) for line in lines)
    assert lines[2] == ""


def test_frames_are_not_written_to_what_has_the_telemetry_descriptors_number(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.set_inheritable(write_end, True)
    with RuntimeApi() as api, (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fastlambda", "forging_functions.handler"],
            env=functions_env(AWS_LAMBDA_RUNTIME_API=api.address, _LAMBDA_TELEMETRY_LOG_FD=str(write_end)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[write_end],
        )
        try:
            assert api.invoke(b'{"do": "telemetry_taken"}', timeout_s=PATIENCE).json() == ""
        finally:
            process.kill()
            process.wait(PATIENCE)
            os.close(read_end)
            os.close(write_end)
    assert "told" in (tmp_path / "log").read_text()


def test_what_is_printed_after_the_standard_streams_are_closed_reaches_no_connection(tmp_path: Path) -> None:
    with FunctionProcess("forging_functions.handler", tmp_path / "log") as function:
        assert function.invoke({"do": "closed_streams"}).json() == "first"
        for _ in range(3):
            assert function.invoke({"do": "prints"}).json() == "printed"
        assert function.process.poll() is None
