"""The endpoint's rules, without a socket."""

import pytest

from fastlambda.local.machine import (
    ACCEPTED,
    INVALID_MODE,
    INVALID_REQUEST_ID,
    INVOKE_TIMEOUT,
    NOT_FOUND,
    Answer,
    Call,
    Machine,
    State,
    recorded_error_type,
    route,
    too_large,
)


def machine_in(state: State) -> Machine:
    """A machine brought there by legal calls; request id "a" where there is one."""
    machine = Machine()
    match state:
        case State.STARTED:
            pass
        case State.RESTORE_READY:
            machine.restore_next()
        case State.RESTORING:
            machine.restore_next()
            machine.restore()
        case State.INIT_ERROR:
            machine.init_error()
        case State.RESTORE_ERROR:
            machine = machine_in(State.RESTORING)
            machine.restore_error()
        case _:
            machine.next()
            if state is not State.READY:
                machine.hand_out("a")
            if state is State.INVOCATION_RESPONSE:
                machine.post(Call.RESPONSE, "a", mode=None, invocation_id=None)
            if state is State.INVOCATION_ERROR_RESPONSE:
                machine.post(Call.ERROR, "a", mode=None, invocation_id=None)
            if state is State.RESPONSE_SENT:
                machine.post(Call.RESPONSE, "a", mode=None, invocation_id=None)
                machine.posted()
    assert machine.state is state
    return machine


def make(machine: Machine, call: Call) -> Answer | None:
    match call:
        case Call.NEXT:
            return machine.next()
        case Call.INIT_ERROR:
            return machine.init_error()
        case Call.RESTORE_NEXT:
            return machine.restore_next()
        case Call.RESTORE_ERROR:
            return machine.restore_error()
        case _:
            return machine.post(call, "a", mode=None, invocation_id=None)


# Every legal call and where it leads; all others are refused and change nothing.
LEGAL = {
    (State.STARTED, Call.NEXT): State.READY,
    (State.STARTED, Call.RESTORE_NEXT): State.RESTORE_READY,
    (State.STARTED, Call.INIT_ERROR): State.INIT_ERROR,
    (State.RESTORING, Call.NEXT): State.READY,
    (State.RESTORING, Call.RESTORE_ERROR): State.RESTORE_ERROR,
    (State.RESTORING, Call.INIT_ERROR): State.RESTORE_ERROR,
    (State.RUNNING, Call.NEXT): State.RUNNING,
    (State.RUNNING, Call.RESPONSE): State.INVOCATION_RESPONSE,
    (State.RUNNING, Call.ERROR): State.INVOCATION_ERROR_RESPONSE,
    (State.RESPONSE_SENT, Call.NEXT): State.READY,
}
WANTED = {
    Call.NEXT: State.READY,
    Call.RESPONSE: State.INVOCATION_RESPONSE,
    Call.ERROR: State.INVOCATION_ERROR_RESPONSE,
    Call.INIT_ERROR: State.INIT_ERROR,
    Call.RESTORE_NEXT: State.RESTORE_READY,
    Call.RESTORE_ERROR: State.RESTORE_ERROR,
}


@pytest.mark.parametrize("call", list(WANTED), ids=str)
@pytest.mark.parametrize("state", list(State), ids=str)
def test_each_call_in_each_state_is_legal_or_refused_by_name(state, call):
    machine = machine_in(state)
    known_id = machine.request_id is not None
    answer = make(machine, call)
    if (state, call) in LEGAL:
        assert answer is None
        assert machine.state is LEGAL[state, call]
    elif call in (Call.RESPONSE, Call.ERROR) and not known_id:
        assert answer == INVALID_REQUEST_ID
        assert machine.state is state
    else:
        assert answer is not None
        assert answer.http_status == 403
        assert (
            answer.body
            == (
                f'{{"errorMessage":"State transition from {state} to {WANTED[call]} failed for runtime. '
                'Error: State transition is not allowed","errorType":"InvalidStateTransition"}\n'
            ).encode()
        )
        assert machine.state is state


def test_the_id_is_checked_before_the_state_and_the_state_before_the_mode():
    machine = machine_in(State.RESPONSE_SENT)
    assert machine.post(Call.RESPONSE, "b", mode="bad", invocation_id=None) == INVALID_REQUEST_ID
    refused = machine.post(Call.RESPONSE, "a", mode="bad", invocation_id=None)
    assert refused is not None
    assert refused.http_status == 403


@pytest.mark.parametrize("mode", ["buffered", "Streaming", ""])
def test_a_wrong_mode_leaves_the_process_stuck(mode):
    machine = machine_in(State.RUNNING)
    assert machine.post(Call.RESPONSE, "a", mode=mode, invocation_id=None) == INVALID_MODE
    stuck = machine.next()
    assert stuck is not None
    assert b"from InvocationResponse to Ready" in stuck.body


def test_streaming_is_the_mode_that_is_taken():
    machine = machine_in(State.RUNNING)
    assert machine.post(Call.RESPONSE, "a", mode="streaming", invocation_id=None) is None


@pytest.mark.parametrize(
    ("sent", "echoed", "expected"),
    [("1", "1", None), ("1", None, None), (None, "1", None), ("1", "2", INVOKE_TIMEOUT)],
)
def test_an_invocation_id_that_is_not_the_present_one_is_gone(sent, echoed, expected):
    machine = machine_in(State.READY)
    machine.hand_out("a", sent)
    assert machine.post(Call.ERROR, "a", mode=None, invocation_id=echoed) == expected


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/runtime/invocation/next", (Call.NEXT, "")),
        ("GET", "/runtime/invocation/next?x=1", (Call.NEXT, "")),
        ("POST", "/runtime/invocation/id-1/response", (Call.RESPONSE, "id-1")),
        ("POST", "/runtime/invocation/id-1/error", (Call.ERROR, "id-1")),
        ("POST", "/runtime/init/error", (Call.INIT_ERROR, "")),
        ("GET", "/runtime/restore/next", (Call.RESTORE_NEXT, "")),
        ("POST", "/runtime/restore/error", (Call.RESTORE_ERROR, "")),
        ("GET", "/ping", (Call.PING, "")),
        ("POST", "/runtime/invocation/next", Answer(405, b"", (("Allow", "GET"),))),
        ("GET", "/runtime/invocation/id-1/response", Answer(405, b"", (("Allow", "POST"),))),
        ("GET", "/runtime/invocation/a/b/response", NOT_FOUND),
        ("GET", "/runtime/invocation//response", NOT_FOUND),
        ("GET", "/", NOT_FOUND),
    ],
)
def test_a_path_names_its_call(method, path, expected):
    assert route(method, "/2018-06-01" + path, has_snapstart=True) == expected


def test_a_path_of_another_version_is_not_found():
    assert route("GET", "/2015-03-31/runtime/invocation/next", has_snapstart=True) == NOT_FOUND


@pytest.mark.parametrize(("method", "path"), [("GET", "next"), ("POST", "error")])
def test_restore_paths_do_not_exist_without_snapstart(method, path):
    assert route(method, f"/2018-06-01/runtime/restore/{path}", has_snapstart=False) == NOT_FOUND


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "Runtime.Unknown"),
        ("", "Runtime.Unknown"),
        ("ValueError", "Runtime.Unknown"),
        ("Runtime.ImportModuleError", "Runtime.ImportModuleError"),
        ("my Function.MyError!", "Function.MyError"),
        ("Function.lower", "Function.Unknown"),
    ],
)
def test_error_types_are_recorded_as_the_server_does(header, expected):
    assert recorded_error_type(header) == expected


def test_documents_are_the_servers_byte_for_byte():
    assert ACCEPTED.body == b'{"status":"OK"}\n'
    assert too_large(6291556).body == (
        b'{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).",'
        b'"errorType":"RequestEntityTooLarge"}\n'
    )
