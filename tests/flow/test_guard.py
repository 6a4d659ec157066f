"""Every way of hanging is reported once, before the deadline, with the right type, against both servers; and where the
handler can be interrupted, the process can go on (FASTLAMBDA_AFTER_TIMEOUT=keep)."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from guarded import KEEP, LAST_MS, MARGIN_MS, TIMEOUT_S, AwsFunction, LocalFunction
from support import PATIENCE

PLAIN = "hanging.handler"
ASYNC = "hanging:AsyncHandler"

# Name of the handler, target, and a line of the trace that says where it was.
INTERRUPTIBLE = [
    ("sleep", PLAIN, "time.sleep(LONG)"),
    ("busy", PLAIN, "in busy"),
    ("recv", PLAIN, "ours.recv(1)"),
    ("child_process", PLAIN, "child.wait()"),
    ("lock", PLAIN, "held.acquire()"),
    ("join", PLAIN, "thread.join()"),
    ("wait_for_queue", PLAIN, "queue.Queue().get()"),
    ("wait_for_select", PLAIN, "select.select("),
    ("except_exception", PLAIN, "in except_exception"),
    ("slow_finally", PLAIN, "time.sleep(LONG)"),
    ("own_asyncio_run", PLAIN, "asyncio.run("),
    ("users_signals", PLAIN, "time.sleep(LONG)"),
    ("catastrophic_regex", PLAIN, "re.match("),
    ("sleep", ASYNC, "time.sleep(LONG)"),
    ("asyncio_sleep", ASYNC, "await asyncio.sleep(LONG)"),
    ("asyncio_blocking", ASYNC, "time.sleep(LONG)"),
    ("asyncio_blocking_in_a_child_task", ASYNC, "time.sleep(LONG)"),
    ("asyncio_thread", ASYNC, "await asyncio.to_thread(stop.wait)"),
]
# These end the process: C code that holds the GIL, code that throws the exception away, an error whose report is not
# rendered in time.
NOT_INTERRUPTIBLE = [
    ("swallow_everything", PLAIN),
    ("gil_held_in_c", PLAIN),
    ("closes_everything", PLAIN),
    ("error_that_cannot_be_told", PLAIN),
    ("error_that_cannot_be_told", ASYNC),
    ("swallow_everything", ASYNC),
]
IDS = [f"{do}-{'async' if target == ASYNC else 'plain'}" for do, target, _ in INTERRUPTIBLE]


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LocalFunction]]:
    made = {target: LocalFunction(target, tmp_path_factory.mktemp("local"), KEEP) for target in (PLAIN, ASYNC)}
    yield made
    for function in made.values():
        function.close()


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AwsFunction]]:
    made = {target: AwsFunction(target, tmp_path_factory.mktemp("aws"), KEEP) for target in (PLAIN, ASYNC)}
    yield made
    for function in made.values():
        function.close()


def is_told_once(log: str, request_id: str) -> None:
    assert "was answered with 4" not in log, "an answer was refused: there were two"
    assert "Exception ignored" not in log
    assert "race condition" not in log
    assert log.count(f"RequestId: {request_id};") <= 1


@pytest.mark.parametrize(("do", "target", "where"), INTERRUPTIBLE, ids=IDS)
def test_what_can_be_interrupted_is_and_the_process_goes_on(
    do: str, target: str, where: str, functions: dict[str, LocalFunction]
) -> None:
    function = functions[target]
    before = function.ask("state")["pid"]
    result = function.invoke(do)
    assert result.kind == "error", result
    assert result.error_type == "Runtime.InvocationTimeout"
    assert result.headers["lambda-runtime-function-error-type"] == "Runtime.InvocationTimeout"
    assert result.duration_s < TIMEOUT_S, "reported after the deadline"
    assert result.duration_s > TIMEOUT_S - (MARGIN_MS + 50) / 1000, "interrupted too early"
    document = result.error
    assert document["errorType"] == "Runtime.InvocationTimeout"
    assert f"{TIMEOUT_S}.0 s" in document["errorMessage"]
    assert document["requestId"] == result.request_id
    assert where in "".join(document["stackTrace"]), document["stackTrace"]
    assert not [entry for entry in document["stackTrace"] if "_core" in entry]
    after = function.ask("state")
    assert after["pid"] == before, "the process did not survive"
    if do in ("slow_finally", "asyncio_sleep"):
        assert do in after["finished"]
    if do == "users_signals":
        assert len(after["signals"]) >= 2
    is_told_once(function.log, result.request_id)


@pytest.mark.parametrize(("do", "target"), NOT_INTERRUPTIBLE)
def test_what_cannot_be_interrupted_is_reported_and_ends_the_process(do: str, target: str, tmp_path: Path) -> None:
    with LocalFunction(target, tmp_path) as function:
        before = function.ask("state")["pid"]
        result = function.invoke(do)
        assert result.kind == "error", result
        assert result.error_type == "Runtime.InvocationTimeout"
        assert result.duration_s < TIMEOUT_S
        assert result.duration_s > TIMEOUT_S - (LAST_MS + 50) / 1000, "the handler had no time to be interrupted"
        assert result.error["requestId"] == result.request_id
        assert f"{TIMEOUT_S}.0 s" in result.error["errorMessage"]
        assert function.ask("state")["pid"] != before
        assert function.exit_codes == [124]
        log = function.log
        assert f"RequestId: {result.request_id}; reported" in log
        assert "Current thread" in log or "Thread 0x" in log
        assert "hanging.py" in log.partition("Stacks of all threads")[2], "the stacks do not say where"
        is_told_once(log, result.request_id)


@pytest.mark.parametrize("do", ["huge_pow"])
def test_what_holds_the_gil_is_reported_whether_it_can_be_interrupted_or_not(do: str, tmp_path: Path) -> None:
    with LocalFunction(PLAIN, tmp_path) as function:
        function.ask("state")
        result = function.invoke(do)
        assert (result.kind, result.error_type) == ("error", "Runtime.InvocationTimeout")
        assert result.duration_s < TIMEOUT_S
        assert function.ask("state")["pid"]
        assert function.exit_codes in ([], [124])
        is_told_once(function.log, result.request_id)


@pytest.mark.parametrize(("do", "target", "where"), INTERRUPTIBLE, ids=IDS)
def test_awss_server_gets_the_same_interruptions(do: str, target: str, where: str, aws: dict[str, AwsFunction]) -> None:
    function = aws[target]
    before = function.ask("state")["pid"]
    document = function.error(do)
    assert document.get("errorType") == "Runtime.InvocationTimeout", document
    assert where in "".join(document["stackTrace"])
    assert function.ask("state")["pid"] == before
    is_told_once(function.log, document["requestId"])


@pytest.mark.parametrize(("do", "target"), [*NOT_INTERRUPTIBLE, ("huge_pow", PLAIN)])
def test_awss_server_gets_the_guards_last_word(do: str, target: str, tmp_path: Path) -> None:
    function = AwsFunction(target, tmp_path)
    try:
        before = function.ask("state")["pid"]
        document = function.error(do)
        assert document.get("errorType") == "Runtime.InvocationTimeout", document
        after = function.ask("state")["pid"]
        assert do == "huge_pow" or after != before
        is_told_once(function.log, document["requestId"])
    finally:
        function.close()


def test_a_handler_may_catch_the_timeout_and_answer(functions: dict[str, LocalFunction]) -> None:
    answer = functions[PLAIN].ask("returns_anyway")
    assert 0 < answer["remaining_ms"] <= MARGIN_MS
    assert answer["is_exception"] is False


@pytest.mark.parametrize(
    ("do", "code"), [("fork_comes_back", 0), ("fork_raises", 1), ("fork_exits", 7), ("fork_sleeps", None)]
)
def test_a_forked_child_never_answers_for_its_parent(
    do: str, code: int | None, functions: dict[str, LocalFunction]
) -> None:
    function = functions[PLAIN]
    before = function.ask("state")["pid"]
    answer = function.ask(do)
    assert code is None or answer == {"child": code}
    assert function.ask("state")["pid"] == before
    is_told_once(function.log, "")


def test_what_a_report_needs_is_loaded_before_it_is_needed(tmp_path: Path) -> None:
    with LocalFunction(PLAIN, tmp_path) as function:
        result = function.invoke("until_reports_can_be_told")
        assert result.ok, result
        assert result.duration_s > (TIMEOUT_S - MARGIN_MS / 1000) / 2 - 0.05, "a handler that is not late had to wait"


def test_the_guard_can_be_switched_off(tmp_path: Path) -> None:
    with LocalFunction(PLAIN, tmp_path, {"FASTLAMBDA_GUARD": "0"}, timeout_s=0.3) as function:
        function.ask("state")
        result = function.invoke("sleep")
        assert result.kind == "timeout", "the guard was at work"


def test_a_nonsensical_setting_is_told_at_the_start(tmp_path: Path) -> None:
    with LocalFunction(PLAIN, tmp_path, {"FASTLAMBDA_TIMEOUT_MARGIN_MS": "soon"}) as function:
        function.thread.join(0.5)
        while not function.exit_codes:
            function.thread.join(0.05)
    assert "FASTLAMBDA_TIMEOUT_MARGIN_MS must be a whole number, not 'soon'" in function.log


def test_a_stopped_process_is_reported_as_soon_as_it_goes_on(tmp_path: Path) -> None:
    with LocalFunction(PLAIN, tmp_path) as function:
        function.ask("state")
        deadline_ms = int(time.time() * 1000) + 3_000
        pending = function.api.submit(b'{"do": "say_and_sleep"}', timeout_s=PATIENCE, deadline_ms=deadline_ms)
        while "it sleeps" not in function.log:
            time.sleep(0.01)
        os.kill(function.process.pid, signal.SIGSTOP)
        while time.time() * 1000 < deadline_ms + 200:  # well past the deadline; the endpoint waits on
            time.sleep(0.05)
        os.kill(function.process.pid, signal.SIGCONT)
        result = pending.answer()
        assert (result.kind, result.error_type) == ("error", "Runtime.InvocationTimeout")
        assert function.ask("state")


# ---- streams ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("do", "where"),
    [("stream_then_sleep", "time.sleep(LONG)"), ("stream_then_sleep_async", "await asyncio.sleep(LONG)")],
)
def test_a_stream_is_ended_with_trailers_and_the_process_goes_on(
    do: str, where: str, functions: dict[str, LocalFunction]
) -> None:
    function = functions[PLAIN]
    before = function.ask("state")["pid"]
    result = function.invoke(do)
    assert result.streamed and result.body == b"one"
    assert result.error_type == "Runtime.InvocationTimeout", result
    assert where in "".join(result.error["stackTrace"])
    assert result.duration_s < TIMEOUT_S
    assert function.ask("state")["pid"] == before
    is_told_once(function.log, result.request_id)


@pytest.mark.parametrize("do", ["stream_then_hang", "stream_then_error_that_cannot_be_told"])
def test_the_guard_ends_a_quiet_stream_itself(do: str, tmp_path: Path) -> None:
    with LocalFunction(PLAIN, tmp_path) as function:
        function.ask("state")
        result = function.invoke(do)
        assert result.streamed and result.body == b"one"
        assert result.error_type == "Runtime.InvocationTimeout", result
        assert result.error["requestId"] == result.request_id
        assert result.duration_s < TIMEOUT_S
        assert function.ask("state")
        assert function.exit_codes == [124]


def test_a_stream_that_nobody_reads_is_cut_never_completed(tmp_path: Path) -> None:
    with LocalFunction(PLAIN, tmp_path) as function:
        function.ask("state")
        pending = function.api.submit(
            b'{"do": "stream_without_end"}', timeout_s=TIMEOUT_S, deadline_ms=None, streaming=True
        )
        while not function.exit_codes:
            function.thread.join(0.02)
        for _ in pending.chunks():
            pass
        result = pending.answer()
        assert not result.ok and result.stream_error is None, result
        assert function.exit_codes == [124]
        assert "in the middle of its response, which was cut off" in function.log
        assert function.ask("state")


# ---- memory -------------------------------------------------------------------------------------------------------

# Far from the limit, so that a machine that is busy with other things has time to look: 256 MiB and 128 MiB below it.
MEMORY = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "FASTLAMBDA_MEMORY_MARGIN_MB": "256", **KEEP}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFunction]:
    with LocalFunction(PLAIN, tmp_path_factory.mktemp("small"), MEMORY, timeout_s=PATIENCE) as function:
        yield function


def used_mb(document: dict[str, Any]) -> int:
    match = re.search(r"(\d+) of the function's 512 MB", document["errorMessage"])
    assert match, document
    return int(match[1])


def test_memory_exhaustion_is_raised_where_the_handler_is(small: LocalFunction) -> None:
    before = small.ask("state")["pid"]
    result = small.invoke("grow_in_small_steps")
    assert (result.kind, result.error_type) == ("error", "Runtime.MemoryExhausted"), result
    assert 256 <= used_mb(result.error) < 512
    assert "in grow_in_small_steps" in "".join(result.error["stackTrace"])
    assert small.ask("state")["pid"] == before, "the memory was given back, and the process could go on"


def test_a_handler_may_catch_memory_exhaustion_and_answer(small: LocalFunction) -> None:
    assert small.ask("grow_and_recover") == {"is_memory_error": True}


@pytest.mark.parametrize("do", ["grow_in_one_step", "grow_in_native_code", "grow_and_swallow"])
def test_memory_exhaustion_is_reported_before_the_limit(do: str, tmp_path: Path) -> None:
    with LocalFunction(PLAIN, tmp_path, MEMORY, timeout_s=PATIENCE) as function:
        function.ask("state")
        result = function.invoke(do)
        assert (result.kind, result.error_type) == ("error", "Runtime.MemoryExhausted"), result
        assert 256 <= used_mb(result.error) < 512
        assert function.ask("state")
        assert set(function.exit_codes) <= {125}


def test_a_process_whose_memory_stays_full_ends_after_its_report(tmp_path: Path) -> None:
    with LocalFunction(PLAIN, tmp_path, MEMORY, timeout_s=PATIENCE) as function:
        before = function.ask("state")["pid"]
        result = function.invoke("leak")
        assert (result.kind, result.error_type) == ("error", "Runtime.MemoryExhausted"), result
        assert function.ask("state")["pid"] != before
        assert function.exit_codes == [125]


# ---- init ---------------------------------------------------------------------------------------------------------


def test_an_init_that_hangs_leaves_its_stacks_in_the_log(tmp_path: Path) -> None:
    go = tmp_path / "go"
    (tmp_path / "slow_start.py").write_text(
        f"import os, time\nwhile not os.path.exists({str(go)!r}):\n    time.sleep(0.01)\n\n"
        "def handler(event, context):\n    return 'started'\n"
    )
    env = {"FASTLAMBDA_INIT_LIMIT_MS": "800", "PYTHONPATH": str(tmp_path)}
    with LocalFunction("slow_start.handler", tmp_path, env) as function:
        while "slow_start.py" not in function.log:
            function.thread.join(0.02)
        assert "(most recent call first):" in function.log
        go.touch()
        assert function.ask("state") == "started", "the dump must not disturb an init that comes to its end"
        assert function.exit_codes == []


# ---- cost ---------------------------------------------------------------------------------------------------------


def test_an_idle_process_wakes_at_most_once_a_second(functions: dict[str, LocalFunction]) -> None:
    function = functions[PLAIN]
    function.ask("state")
    tasks = Path(f"/proc/{function.process.pid}/task")
    assert len(list(tasks.iterdir())) == 2, "the loop and the guard"

    def wakes() -> int:
        found = [
            re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (t / "status").read_text(), re.M) for t in tasks.iterdir()
        ]
        return sum(int(match[1]) for match in found if match)

    time.sleep(1)  # the guard goes to sleep after the event, and the loop has looked for a signal that came late
    before, since = wakes(), time.monotonic()
    time.sleep(4)
    # The guard once a second, and the loop's ever longer pauses: one or two here.
    assert wakes() - before <= time.monotonic() - since + 3
