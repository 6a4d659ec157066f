"""How long events and results live: until the answer is out, and no longer than that."""

from __future__ import annotations

import os
import socket
import threading
import weakref
from collections.abc import Callable

import pytest
from support import ACCEPTED, PATIENCE, Peer, ScriptedServer, event_answer

from fastlambda._core import Config, Runtime
from fastlambda.errors import UsageError

NEXT = b"GET /2018-06-01/runtime/invocation/next"


class Result(list):  # type: ignore[type-arg]
    """A list of which one can tell when it is gone."""

    def __init__(self, at_end: Callable[[], object]) -> None:
        super().__init__([1, 2])
        self.at_end = at_end

    def __del__(self) -> None:
        self.at_end()


def answer_when(may_answer: Callable[[], bool]) -> Callable[[socket.socket], None]:
    """One event; its result is accepted only when `may_answer` says so, which is asked after it has come."""

    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        peer.send(event_answer(b"[1, 2]", "a"))
        assert peer.expect(b"POST /2018-06-01/runtime/invocation/a/response") == b"[1,2]"
        assert may_answer()
        peer.send(ACCEPTED)

    return script


def test_event_and_result_are_freed_while_the_server_reads_the_answer() -> None:
    result_is_gone = threading.Event()

    def call(event: object, context: object) -> object:
        return Result(result_is_gone.set)

    with ScriptedServer(answer_when(lambda: result_is_gone.wait(PATIENCE))) as server:
        Runtime(Config(runtime_api=server.address), call).serve(1)


def test_nothing_of_a_failed_invocation_is_kept_for_the_next() -> None:
    gone: list[str] = []

    class Odd(Exception):
        pass

    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        for name in ("a", "b"):
            peer.expect(NEXT)
            if name == "b":
                assert gone == ["a"], "the event of the failed invocation is still there"
            peer.send(event_answer(b"[1]", name))
            peer.expect(b"POST ")
            peer.send(ACCEPTED)

    class Event(list):  # type: ignore[type-arg]
        pass

    def decode(body: bytes) -> object:
        event = Event()
        weakref.finalize(event, gone.append, "ab"[len(gone)])
        return event

    def call(event: object, context: object) -> object:
        del event
        if not gone:
            raise Odd
        return None

    with ScriptedServer(script) as server:
        Runtime(Config(runtime_api=server.address), call, decode).serve(2)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_forked_by_a_destructor_does_not_read_the_parents_answer() -> None:
    """Its loop ends with an error, and the answer, which lies in the socket already, is the parent's."""
    is_answered = threading.Event()
    parent = os.getpid()
    statuses: list[int] = []

    def script(connection: socket.socket) -> None:
        answer_when(lambda: True)(connection)
        is_answered.set()

    def fork() -> None:
        assert is_answered.wait(PATIENCE)
        child = os.fork()
        if child:
            statuses.append(os.waitpid(child, 0)[1])

    with ScriptedServer(script) as server:
        runtime = Runtime(Config(runtime_api=server.address), lambda event, context: Result(fork))
        try:
            runtime.serve(1)
        except UsageError:
            if os.getpid() != parent:
                os._exit(7)
            raise
        finally:
            if os.getpid() != parent:
                os._exit(1)
    assert [os.waitstatus_to_exitcode(status) for status in statuses] == [7]
