"""A stream that the deadline finds unfinished is ended or cut off, never left open and never made to look complete."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from guarded import KEEP, LocalFunction
from support import PATIENCE

TARGET = "hanging_streams.handler"


@pytest.fixture
def function(tmp_path: Path) -> Iterator[LocalFunction]:
    with LocalFunction(TARGET, tmp_path, KEEP) as function:
        yield function


@pytest.mark.parametrize("do", ["sleep", "asynchronous", "imperative", "coalesced"])
def test_the_deadline_ends_a_stream_with_trailers_and_the_process_goes_on(do: str, function: LocalFunction) -> None:
    pid = function.ask("pid")
    result = function.invoke(do)
    assert (result.kind, result.streamed, result.body) == ("response", True, b"beginning,")
    assert result.error_type == "Runtime.InvocationTimeout"
    assert result.error["errorType"] == "Runtime.InvocationTimeout"
    assert result.error["requestId"] == result.request_id
    assert "sleep(LONG)" in "".join(result.error["stackTrace"])
    assert function.ask("pid") == pid
    assert function.exit_codes == []


def test_headers_alone_are_a_beginning(function: LocalFunction) -> None:
    result = function.invoke("sleep_after_headers")
    assert result.streamed
    assert result.body.endswith(bytes(8))
    assert result.error["errorType"] == "Runtime.InvocationTimeout"


@pytest.mark.parametrize("do", ["stuck", "swallow"])
def test_a_stream_that_is_stuck_in_c_ends_with_trailers_too_and_the_process_ends(
    do: str, function: LocalFunction
) -> None:
    pid = function.ask("pid")
    result = function.invoke(do)
    assert (result.kind, result.streamed, result.body) == ("response", True, b"beginning,")
    assert result.error["errorType"] == "Runtime.InvocationTimeout"
    assert function.ask("pid") != pid
    assert function.exit_codes == [124]


@pytest.mark.parametrize("do", ["sleep_first", "stuck_first"])
def test_before_the_first_byte_it_is_an_ordinary_error(do: str, function: LocalFunction) -> None:
    pid = function.ask("pid")
    result = function.invoke(do)
    assert (result.kind, result.streamed) == ("error", False)
    assert result.error["errorType"] == "Runtime.InvocationTimeout"
    assert (function.ask("pid") == pid) == (do == "sleep_first")
    assert function.exit_codes == ([124] if do == "stuck_first" else [])


def test_a_stream_whose_receiver_does_not_read_is_cut_off(function: LocalFunction) -> None:
    """A chunk is half written when step two comes: nobody can complete it."""
    pid = function.ask("pid")
    event = json.dumps({"do": "endless"}).encode()
    pending = function.api.submit(event, timeout_s=function.timeout_s, streaming=True)
    end = time.monotonic() + PATIENCE
    while not function.exit_codes and time.monotonic() < end:
        time.sleep(0.01)
    assert function.exit_codes == [124]
    received = sum(len(chunk) for chunk in pending.chunks())
    result = pending.answer()
    assert received > 0
    assert not result.ok
    assert result.kind in ("truncated", "exit", "timeout")
    assert "cut off" in function.log
    assert function.ask("pid") != pid
