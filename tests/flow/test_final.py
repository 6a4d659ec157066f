"""What comes back from an interrupted handler is not posted unless it is meant as the answer; and its process ends."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from functions_env import functions_env
from guarded import LocalFunction
from support import PATIENCE

from fastlambda.local.endpoint import RuntimeApi

LOCAL = [sys.executable, "-m", "fastlambda"]
PLAIN, ASYNC, SYNC = "swallowing.handler", "swallowing:Async", "swallowing:Sync"
# Interrupted after 0.2 s, a second before the deadline.
TIMEOUT_S = 1.2

# The ways of swallowing; and where each is.
SWALLOWED = [
    *((PLAIN, do) for do in ("bare_except", "base_exception", "finally_return", "suppress", "exit_stack")),
    *((PLAIN, do) for do in ("forgiving_exit", "another_error", "chained_error", "sys_exit", "keyboard_interrupt")),
    *((PLAIN, do) for do in ("generator_exit", "one_more_try", "break_out_of_finally", "nested_finally")),
    *((PLAIN, do) for do in ("generator_finally", "except_group", "in_del", "in_a_callback", "exception_of_a_future")),
    *((PLAIN, do) for do in ("wrapped", "asyncio_run", "another_value_than_the_answer", "an_answer_that_is_raised")),
    *((SYNC, do) for do in ("bare_except",)),
    *((ASYNC, do) for do in ("task_swallows", "task_finally", "task_blocks_and_swallows", "gathered", "shielded")),
    *((ASYNC, do) for do in ("waited_for", "grouped", "task_raises_another")),
    *((PLAIN, do) for do in ("asgi_swallows", "asgi_blocks", "asgi_answers_500", "wsgi_swallows", "wsgi_answers_500")),
]
STREAMS = ["stream_swallows", "stream_finally", "stream_of_a_task", "stream_closed_by_hand", "stream_block"]
ANSWERED = [
    *((PLAIN, do, {"partial": True}) for do in ("answers",)),
    (PLAIN, "answers_none", None),
    (SYNC, "answers", {"partial": True}),
    *((ASYNC, do, {"partial": True}) for do in ("task_answers", "task_that_blocks_answers")),
    (ASYNC, "task_answers_after_its_children", {"partial": True}),
]
APPLICATIONS = ["asgi_answers", "asgi_answers_blocks", "wsgi_answers"]
ANSWERED_STREAMS = ["stream_answers", "stream_of_a_task_answers", "stream_by_hand_answers"]


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LocalFunction]]:
    made = {
        target: LocalFunction(target, tmp_path_factory.mktemp("final"), timeout_s=TIMEOUT_S)
        for target in (PLAIN, ASYNC, SYNC)
    }
    yield made
    for function in made.values():
        function.close()


def test_there_are_thirty_ways_of_swallowing() -> None:
    assert len(set(SWALLOWED)) + len(STREAMS) >= 30


@pytest.mark.parametrize(("target", "do"), SWALLOWED, ids=[f"{t.partition('.')[0]}-{do}" for t, do in SWALLOWED])
def test_what_swallows_the_interruption_changes_nothing(
    target: str, do: str, functions: dict[str, LocalFunction]
) -> None:
    function = functions[target]
    before, n_ended = function.ask("pid"), len(function.exit_codes)
    result = function.invoke(do)
    assert (result.kind, result.error_type) == ("error", "Runtime.InvocationTimeout"), result
    assert result.error["errorType"] == "Runtime.InvocationTimeout"
    assert "interrupted" in result.error["errorMessage"], "the thread had to answer"
    assert "swallowing.py" in "".join(result.error["stackTrace"])
    assert "sleep(LONG)" in "".join(result.error["stackTrace"]) or do == "exception_of_a_future"
    assert result.duration_s < TIMEOUT_S
    assert function.ask("pid") != before, "the process went on"
    assert function.exit_codes[n_ended:] == [124]
    log = function.log
    assert "was answered with 4" not in log, "an answer was refused: there were two"
    if do in ("bare_except", "base_exception", "another_error", "task_swallows"):
        (line,) = [line for line in log.splitlines() if result.request_id in line]
        assert line.startswith("fastlambda: InvocationTimeout was swallowed in ")
        assert "swallowing.py, line " in line
        assert ("raised ValueError" in line) == (do == "another_error")
    if do in ("another_error", "chained_error"):
        assert "Swallowed, and then: " in "".join(result.error["stackTrace"])


@pytest.mark.parametrize("do", STREAMS)
def test_a_stream_that_swallows_it_ends_with_the_error(do: str, functions: dict[str, LocalFunction]) -> None:
    function = functions[PLAIN]
    before = function.ask("pid")
    result = function.invoke(do)
    assert result.streamed and result.body.startswith(b"beginning,")
    assert result.error_type == "Runtime.InvocationTimeout", result
    assert "sleep(LONG)" in "".join(result.error["stackTrace"])
    assert function.ask("pid") != before


def test_a_streamed_application_that_swallows_it_ends_with_the_error(functions: dict[str, LocalFunction]) -> None:
    function = functions[PLAIN]
    before = function.ask("pid")
    for do in ("streamed_asgi_swallows", "streamed_asgi_answers_500"):
        result = function.invoke(do)
        assert result.error["errorType"] == "Runtime.InvocationTimeout", result
    assert function.ask("pid") != before


@pytest.mark.parametrize(("target", "do", "answer"), ANSWERED)
def test_what_is_answered_on_purpose_is_delivered(
    target: str, do: str, answer: object, functions: dict[str, LocalFunction]
) -> None:
    function = functions[target]
    before = function.ask("pid")
    assert function.ask(do) == answer
    assert function.ask("pid") != before, "the process went on"


@pytest.mark.parametrize("do", APPLICATIONS)
def test_an_application_that_answers_on_purpose_is_heard(do: str, functions: dict[str, LocalFunction]) -> None:
    response = functions[PLAIN].ask(do)
    assert (response["statusCode"], response["body"]) in (
        (503, "from the application"),
        (503, "ZnJvbSB0aGUgYXBwbGljYXRpb24="),
    )


@pytest.mark.parametrize("do", ANSWERED_STREAMS)
def test_a_stream_that_answers_on_purpose_is_complete(do: str, functions: dict[str, LocalFunction]) -> None:
    function = functions[PLAIN]
    before = function.ask("pid")
    result = function.invoke(do)
    assert result.ok and result.streamed, result
    assert (result.body, result.error_type) == (b"beginning,partial", None)
    assert function.ask("pid") != before


def test_a_streamed_application_that_answers_on_purpose_is_complete(functions: dict[str, LocalFunction]) -> None:
    result = functions[PLAIN].invoke("streamed_asgi_answers")
    assert result.ok and result.body.endswith(b"from the application"), result


def test_an_unknown_wish_is_told_at_the_start(tmp_path: Path) -> None:
    env = {**functions_env(), "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "FASTLAMBDA_AFTER_TIMEOUT": "stay"}
    command = [*LOCAL, "swallowing.handler"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 1
    assert done.stderr == "fastlambda: FASTLAMBDA_AFTER_TIMEOUT must be 'exit', 'keep' or 'raise', not 'stay'\n"


# ---- the end of the process ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("do", ["twenty_threads", "hanging_atexit", "hanging_callback", "full_stdout", "gil_after"])
def test_whatever_hangs_the_process_is_gone_before_the_deadline(do: str) -> None:
    """The pipes are not read: what is written to them fills them."""
    with RuntimeApi() as api:
        env = {**functions_env(), "AWS_LAMBDA_RUNTIME_API": api.address}
        env |= {"FASTLAMBDA_TIMEOUT_MARGIN_MS": "1500", "FASTLAMBDA_TIMEOUT_LAST_MS": "1000"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        function = subprocess.Popen([*LOCAL, "ending_functions.handler"], env=env, stdin=subprocess.DEVNULL, **pipes)
        try:
            pending = api.submit(b'{"do": "%s"}' % do.encode(), timeout_s=2.0)
            result = pending.answer()
            assert (result.kind, result.error_type) == ("error", "Runtime.InvocationTimeout"), result
            started = time.monotonic() - result.duration_s
            code = function.wait()  # without a time: that would look now and then
            assert time.monotonic() - started < 2.0, "gone after the deadline"
            assert code in (124, -14)
        finally:
            function.kill()
            _, errors = function.communicate()
    assert b"Fatal Python error" not in errors


def test_what_is_buffered_leaves_and_callbacks_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with LocalFunction("ending_functions.handler", tmp_path, {"OUT": str(out)}, timeout_s=TIMEOUT_S) as function:
        result = function.invoke("buffers")
        assert result.error_type == "Runtime.InvocationTimeout"
        assert function.ask("pid")
        assert out.read_text() == "logged\nshut down\n"
        assert "told to the standard error stream" in function.log


def test_a_runner_may_ask_to_stay_and_the_environment_overrides_it(tmp_path: Path) -> None:
    for more, stays in (({}, True), ({"FASTLAMBDA_AFTER_TIMEOUT": "exit"}, False)):
        folder = tmp_path / str(stays)
        folder.mkdir()
        with LocalFunction("ending_functions:Keeping", folder, more, timeout_s=TIMEOUT_S) as function:
            before = function.ask("pid")
            assert function.invoke("sleep").error_type == "Runtime.InvocationTimeout"
            assert (function.ask("pid") == before) == stays


@pytest.mark.parametrize("how", ["exec_async", "exec"])
def test_a_process_that_embeds_the_loop_gets_the_error_and_goes_on(how: str, tmp_path: Path) -> None:
    with RuntimeApi() as api:
        env = {**functions_env(), "AWS_LAMBDA_RUNTIME_API": api.address, "FASTLAMBDA_TIMEOUT_MARGIN_MS": "1000"}
        program = Path(__file__).with_name("ending_functions.py")
        function = subprocess.Popen(
            [sys.executable, str(program), how], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        result = api.invoke(b'{"do": "sleep"}', timeout_s=TIMEOUT_S)
        assert result.error_type == "Runtime.InvocationTimeout"
        out, _ = function.communicate(timeout=PATIENCE)
    assert out.endswith("\nthe loop raised InvocationTimeout\n")
    assert function.returncode == 0
