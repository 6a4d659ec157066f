"""A function's process is started, watched and ended as Lambda does it; the process is a script of the test's."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support import PATIENCE

from fastlambda.local.endpoint import Result
from fastlambda.local.process import Function, Report, check_variable, exit_reason, lambda_environment

# What every script starts with: a client of the Runtime API in a few lines.
CLIENT = """
import http.client, json, os, signal, subprocess, sys, time
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def call(method, path, body=None, **headers):
    connection.request(method, "/2018-06-01/runtime/" + path, body, headers)
    answer = connection.getresponse()
    return answer, answer.read()
def next():
    answer, body = call("GET", "invocation/next")
    return answer.headers["Lambda-Runtime-Aws-Request-Id"], body
def respond(request_id, value):
    body = json.dumps(value)
    call("POST", f"invocation/{request_id}/response", body, **{"Content-Type": "application/json"})
"""


@pytest.fixture
def scripted(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Function]:
    """Makes a function whose process runs a script after CLIENT."""

    def make(script: str, **more) -> Function:
        path = tmp_path / "script.py"
        path.write_text(CLIENT + textwrap.dedent(script))
        function = Function("app.handler", command=[sys.executable, str(path)], cwd=tmp_path, **more)
        request.addfinalizer(function.stop)
        return function

    return make


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_ends(pid: int) -> None:
    """A process that was killed ends soon; that its killer waits for it is not promised for its children."""
    end = time.monotonic() + PATIENCE
    while is_alive(pid):
        assert time.monotonic() < end, f"process {pid} lives"
        os.sched_yield()


def value(report: Report):
    assert report.result.ok, report.result.error
    return json.loads(report.result.body)


FOREVER = """
while True:
    request_id, body = next()
    respond(request_id, {"got": json.loads(body), "pid": os.getpid()})
"""


def test_a_process_answers_one_invocation_after_the_other(scripted):
    function = scripted(FOREVER)
    first, second = function.invoke(b"1"), function.invoke(b"2")
    assert value(first) == {"got": 1, "pid": function.pid}
    assert value(second) == {"got": 2, "pid": function.pid}
    assert (function.starts, second.init_ms) == (1, None)
    assert first.init_ms > 0
    assert first.duration_ms > 0
    assert first.billed_ms >= first.duration_ms + first.init_ms
    assert first.max_memory_mb > 1


def test_the_process_leads_a_session_of_its_own_and_ends_with_stop(scripted):
    function = scripted(FOREVER)
    pid = value(function.invoke(b"1"))["pid"]
    assert os.getsid(pid) == pid
    function.stop()
    function.stop()
    assert function.pid is None
    assert not is_alive(pid)


def test_the_process_has_lambdas_environment_and_not_ours(scripted):
    function = scripted(
        """
        request_id, _ = next()
        respond(request_id, dict(os.environ))
        next()
        """,
        memory_mb=512,
        env={"TABLE": "orders", "TZ": "Europe/Berlin"},
    )
    env = value(function.invoke(b"{}"))
    assert env["AWS_LAMBDA_RUNTIME_API"] == function.api.address
    assert (env["_HANDLER"], env["LAMBDA_TASK_ROOT"]) == ("app.handler", str(function._cwd))
    assert (env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], env["AWS_LAMBDA_FUNCTION_VERSION"]) == ("512", "$LATEST")
    assert env["AWS_EXECUTION_ENV"] == f"AWS_Lambda_python3.{sys.version_info[1]}"
    assert (env["TABLE"], env["TZ"]) == ("orders", "Europe/Berlin"), "the owner's win over what Lambda does not reserve"
    assert env["PATH"] == os.environ["PATH"]
    assert not [name for name in env if name.startswith(("PYTEST", "PYTHON"))]


@pytest.mark.parametrize("name", ["AWS_LAMBDA_RUNTIME_API", "_HANDLER", "_X", "A=B", "", "1A", "A B"])
def test_variables_that_lambda_would_not_take_are_refused(name):
    with pytest.raises(ValueError):
        check_variable(name)
    with pytest.raises(ValueError):
        lambda_environment("a.b", "127.0.0.1:1", env={name: "x"})


def test_under_snapstart_the_environment_names_no_log():
    env = lambda_environment("a.b", "127.0.0.1:1", snapstart=True)
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    assert "AWS_LAMBDA_LOG_STREAM_NAME" not in env


def test_at_the_deadline_the_process_and_its_children_are_killed_and_the_next_gets_a_new_one(scripted):
    function = scripted(
        """
        while True:
            request_id, body = next()
            if json.loads(body) == "hang":
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                print("child", child.pid, flush=True)
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                time.sleep(600)
            respond(request_id, os.getpid())
        """,
        timeout_s=3.0,
    )
    pid = value(function.invoke(b'"go"'))
    report = function.invoke(b'"hang"')
    result = report.result
    assert (result.kind, result.error_type) == ("timeout", "Sandbox.Timeout")
    assert result.error["errorMessage"] == f"RequestId: {result.request_id} Error: Task timed out after 3.00 seconds"
    assert report.duration_ms >= 3000
    assert str(report).endswith("Status: timeout")
    assert not is_alive(pid)
    assert_ends(int(function.logs.split()[1]))
    assert value(function.invoke(b'"go"')) != pid
    assert function.starts == 2


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("os._exit(3)", "Runtime exited with error: exit status 3"),
        ("os._exit(0)", "Runtime exited without providing a reason"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "Runtime exited with error: signal: killed"),
    ],
    ids=["status", "zero", "signal"],
)
def test_a_process_that_ends_in_an_invocation_is_an_exit_error(scripted, script, message):
    function = scripted(f"next()\n{script}\n")
    for n in (1, 2):
        report = function.invoke(b"{}")
        result = report.result
        assert (result.kind, result.error_type, result.http_status) == ("exit", "Runtime.ExitError", 502)
        assert result.error["errorMessage"] == f"RequestId: {result.request_id} Error: {message}"
        assert function.starts == n
        assert report.init_ms is not None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (0, "Runtime exited without providing a reason"),
        (1 << 8, "Runtime exited with error: exit status 1"),
        (signal.SIGSEGV | 0x80, "Runtime exited with error: signal: segmentation fault (core dumped)"),
        (35, "Runtime exited with error: signal: signal 35"),
    ],
)
def test_the_end_of_a_process_is_told_in_the_servers_words(status, reason):
    assert exit_reason(status) == reason


def test_an_init_that_dies_is_repeated_inside_the_invocation(scripted):
    function = scripted(
        """
        if not os.path.exists("been-here"):
            open("been-here", "w").close()
            sys.exit(1)
        """
        + textwrap.indent(FOREVER, " " * 8)
    )
    report = function.invoke(b"1")
    assert value(report)["got"] == 1
    assert function.starts == 2
    assert report.init_ms is None, "the repeated init counts as duration"


def test_an_init_that_dies_again_is_an_exit_error(scripted):
    function = scripted("sys.exit(7)")
    result = function.invoke(b"1").result
    assert (result.kind, function.starts) == ("exit", 2)
    assert result.error["errorMessage"].endswith("Runtime exited with error: exit status 7")


def test_an_init_that_hangs_is_repeated_under_the_functions_timeout(scripted):
    function = scripted("time.sleep(600)", init_limit_s=0.1, timeout_s=0.2)
    report = function.invoke(b"1")
    assert (report.result.kind, function.starts, function.pid) == ("timeout", 2, None)
    assert report.result.error["errorMessage"].endswith("Task timed out after 0.20 seconds")
    assert report.duration_ms >= 200


def test_an_init_error_is_the_answer_and_the_next_invocation_tries_again(scripted):
    function = scripted(
        """
        call("POST", "init/error", '{"errorType": "Runtime.X", "errorMessage": "no"}')
        print("last words", flush=True)
        sys.exit(1)
        """
    )
    for n in (1, 2):
        result = function.invoke(b"1").result
        assert (result.kind, result.error, function.starts) == (
            "init_error",
            {"errorType": "Runtime.X", "errorMessage": "no"},
            n,
        )
    assert function.logs == b"last words\n" * 2


def test_a_process_that_ends_after_its_answer_is_told_of_and_started_again(scripted):
    function = scripted(
        """
        request_id, _ = next()
        respond(request_id, os.getpid())
        sys.exit(4)
        """
    )
    reports = [function.invoke(b"1") for _ in range(2)]
    assert value(reports[0]) != value(reports[1])
    assert reports[0].exit_reason == "Runtime exited with error: exit status 4"


def test_what_comes_after_the_answer_is_under_the_same_deadline(scripted):
    function = scripted(
        """
        request_id, _ = next()
        respond(request_id, 1)
        time.sleep(600)
        """,
        timeout_s=1.0,
    )
    report = function.invoke(b"1")
    assert value(report) == 1
    assert report.exit_reason == "Task timed out after 1.00 seconds"
    assert function.pid is None


def test_the_log_is_complete_and_in_order_when_the_invocation_is_over(scripted):
    function = scripted(
        """
        while True:
            request_id, _ = next()
            for i in range(20000):
                print("line", i)
            sys.stdout.flush()
            print("on stderr", file=sys.stderr, flush=True)
            respond(request_id, None)
        """
    )
    for n in (1, 2):
        function.invoke(b"1")
        assert bytes(function.logs).decode().split("\n") == (
            [f"line {i}" for i in range(20000)] + ["on stderr"]
        ) * n + [""]


def test_a_snapshot_is_taken_and_restored_before_the_first_event(scripted):
    function = scripted(
        """
        answer, body = call("GET", "restore/next")
        restored = (answer.status, body.decode())
        request_id, _ = next()
        respond(request_id, restored)
        next()
        """,
        snapstart=True,
    )
    assert value(function.invoke(b"1")) == [200, ""]


def test_sigterm_comes_first_when_stop_is_given_a_grace(scripted):
    function = scripted(
        """
        def leave(number, frame):
            print("goodbye", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, leave)
        """
        + textwrap.indent(FOREVER, " " * 8)
    )
    function.invoke(b"1")
    function.stop(grace_s=30)
    assert function.logs == b"goodbye\n"


def test_a_stream_is_given_on_as_it_arrives(scripted):
    function = scripted(
        """
        request_id, _ = next()
        call("POST", f"invocation/{request_id}/response", iter([b"one", b"two"]),
             **{"Lambda-Runtime-Function-Response-Mode": "streaming"})
        next()
        """
    )
    parts: list[bytes] = []
    report = function.invoke(b"1", on_chunk=parts.append)
    assert (report.result.ok, report.result.streamed, b"".join(parts)) == (True, True, b"onetwo")


def test_a_result_that_is_no_stream_is_given_on_in_one_piece(scripted):
    parts: list[bytes] = []
    report = scripted(FOREVER).invoke(b"1", on_chunk=parts.append)
    assert report.result.ok
    assert [json.loads(part)["got"] for part in parts] == [1]


def test_a_program_that_does_not_exist_cannot_be_started(tmp_path):
    with Function("a.b", command=[str(tmp_path / "nothing")]) as function, pytest.raises(FileNotFoundError):
        function.invoke(b"1")


def test_the_report_line_is_lambdas():
    report = Report(Result("id-1", "response"), 1.234, 20.5, 128, 30)
    assert str(report) == (
        "REPORT RequestId: id-1\tDuration: 1.23 ms\tBilled Duration: 22 ms\tMemory Size: 128 MB\t"
        "Max Memory Used: 30 MB\tInit Duration: 20.50 ms"
    )
    failed = Report(Result("id-1", "exit", error_type="Runtime.ExitError"), 1.0, None, 128, 30)
    assert str(failed).endswith("Max Memory Used: 30 MB\tStatus: error\tError Type: Runtime.ExitError")
