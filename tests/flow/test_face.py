"""What has replaced a part of AWS's client misbehaves: each invocation is answered once, and the log says what was.

That replacements are asked as under AWS's client is held by the differential tests, in the cases face-*.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from function_process import FunctionProcess
from support import PATIENCE, ROOT

START = "import fastlambda; fastlambda.main()"


def function(tmp_path: Path, mode: str, name: str = "handler", **env: str) -> FunctionProcess:
    return FunctionProcess(f"face_functions.{name}", tmp_path / "log", env={"MODE": mode, **env})


# Mode, the answer to an event, the answer to "fail", what the log says once.
MISBEHAVIOUR = [
    ("raising-before", "ValueError: before the post", "ValueError: the handler's", "before the post"),
    ("raising-after", "ok", "ValueError: the handler's", "what has replaced post_invocation_result() failed"),
    ("twice", "ok", "ValueError: the handler's", "post_invocation_result() was called for"),
    ("not-posted", "Runtime.NotHandled: ", "ValueError: the handler's", "did not post the result"),
    ("error-raising-before", "ok", "ValueError: the handler's", "what has replaced post_invocation_error() failed"),
    ("error-twice", "ok", "ValueError: the handler's", "post_invocation_error() was called for"),
    ("error-not-posted", "ok", "ValueError: the handler's", "[ERROR] ValueError: the handler's"),
    ("handle-raising-before", "ValueError: before handling", "ValueError: before handling", "before handling"),
    ("handle-raising-after", "ok", "ValueError: the handler's", "what has replaced handle_event_request() failed"),
    ("handle-twice", "ok", "ValueError: the handler's", "which is not under way"),
    ("not-handled", "Runtime.NotHandled: ", "Runtime.NotHandled: ", "did not answer this invocation"),
    ("log-raises", "ok", "ValueError: the handler's", "what has replaced log_error() failed"),
    ("make-error-raises", "ok", "ValueError: the handler's", "what has replaced make_error() failed"),
]


@pytest.mark.parametrize(("mode", "answer", "failure", "said"), MISBEHAVIOUR, ids=[row[0] for row in MISBEHAVIOUR])
def test_a_replacement_that_misbehaves_costs_no_answer(
    mode: str, answer: str, failure: str, said: str, tmp_path: Path
) -> None:
    with function(tmp_path, mode) as process:
        for event, expected in ((1, answer), ("fail", failure), (2, answer)):
            result = process.invoke(event)
            if expected == "ok":
                assert result.ok and result.json() == event
            else:
                assert f"{result.error['errorType']}: {result.error['errorMessage']}".startswith(expected)
        assert process.process.poll() is None
        assert said in process.log


def test_a_replacement_that_leaves_ends_the_process_after_the_answer(tmp_path: Path) -> None:
    with function(tmp_path, "exits") as process:
        assert process.invoke(1).ok
        assert process.process.wait(PATIENCE) == 5


def test_what_is_replaced_and_has_no_effect_is_said_once_by_name(tmp_path: Path) -> None:
    with function(tmp_path, "unserved") as process:
        assert process.invoke(1).json() == 1
        assert process.invoke(2).json() == 2
    for name in (
        "bootstrap.run",
        "lambda_context.LambdaContext.log",
        "lambda_runtime_client.LambdaRuntimeClient.restore_next",
    ):
        assert process.log.count(f"fastlambda: awslambdaric.{name} was replaced, which has no effect") == 1, process.log


def test_a_flush_that_hangs_in_a_post_ends_in_the_time_out(tmp_path: Path) -> None:
    with function(tmp_path, "slow-post") as process:
        result = process.invoke(1, timeout_s=1)
        assert result.error["errorType"] == "Runtime.InvocationTimeout"


def test_a_streamed_result_goes_through_a_replaced_post(tmp_path: Path) -> None:
    with function(tmp_path, "raising-after", "stream") as process:
        result = process.invoke({})
        assert result.ok and result.body == b"one two"
        assert process.invoke({}).body == b"one two"


def test_nothing_of_the_face_is_loaded_before_somebody_looks(tmp_path: Path) -> None:
    with function(tmp_path, "", "modules") as process:
        assert process.invoke({}).json() == ["fastlambda", "fastlambda._core"]


MAIN = """
import sys
{before}
import fastlambda
fastlambda.main(["face_functions.handler"])
"""


def test_the_real_one_imported_too_early_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAIN.format(before="import awslambdaric.bootstrap")]
    with FunctionProcess("", tmp_path / "log", command=command) as process:
        assert process.invoke(1).ok
        assert "awslambdaric was imported before fastlambda.main()" in process.log


def test_a_program_that_has_the_name_itself_keeps_it(tmp_path: Path) -> None:
    code = (
        "import sys, fastlambda._core as core\n"
        "bootstrap = 5\n"
        "core.take_over(core.Runtime(core.Config(), None, None, None, True))\n"
        "main = sys.modules['__main__']\n"
        "assert main.bootstrap == 5 and not hasattr(main, 'nothing')\n"
        "assert main.awslambdaricmain.bootstrap.__name__ == 'awslambdaric.bootstrap'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


TEXT = "ä \U0001f600 \ud800 \x85 end"


@pytest.mark.parametrize("form", ["text", "JSON"])
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8", "utf-8:surrogateescape", "cp1252"])
def test_an_uncaught_error_is_in_the_log_whatever_the_streams_encoding(
    encoding: str, form: str, tmp_path: Path
) -> None:
    env = {"PYTHONIOENCODING": encoding, "AWS_LAMBDA_LOG_FORMAT": form}
    with function(tmp_path, "", "fail_with", **env) as process:
        assert process.invoke(TEXT).error["errorMessage"] == TEXT
    line = process.log_path.read_bytes()
    assert b"ValueError" in line and line.rstrip().endswith(b"}" if form == "JSON" else b"raise ValueError(event)"), (
        line
    )
    assert b"\\ud800" in line or b"\xed\xa0\x80" in line


@pytest.mark.parametrize("form", ["text", "JSON"])
def test_an_uncaught_error_is_in_the_telemetry_whatever_its_characters(form: str, tmp_path: Path) -> None:
    path = tmp_path / "frames"
    opened = f"os.open({str(path)!r}, os.O_WRONLY | os.O_CREAT)"
    code = f"import os; os.environ['_LAMBDA_TELEMETRY_LOG_FD'] = str({opened}); {START}"
    command = [sys.executable, "-c", code, "face_functions.fail_with"]
    with FunctionProcess("", tmp_path / "log", env={"AWS_LAMBDA_LOG_FORMAT": form}, command=command) as process:
        assert process.invoke(TEXT).error["errorMessage"] == TEXT
    frame = path.read_bytes()
    assert b"ValueError" in frame and b"\\ud800" in frame


def test_a_module_that_awss_client_would_have_imported_is_named(tmp_path: Path) -> None:
    with function(tmp_path, "", "submodule") as process:
        assert process.invoke("package").error["stackTrace"][-1].startswith("Note: xml.etree is a module that nobody")
        assert "Note" not in process.invoke("other").error["stackTrace"][-1]
