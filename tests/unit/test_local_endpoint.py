"""The embedded Runtime API endpoint over real sockets, with a scripted function."""

import base64
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from fastlambda.local.endpoint import MAX_HEAD, MAX_RESPONSE, Result, RuntimeApi
from fastlambda.local.machine import State

WAIT_S = 30


class Peer:
    """A function process as the wire sees it: one keep-alive connection."""

    def __init__(self, api: RuntimeApi) -> None:
        host, _, port = api.address.rpartition(":")
        self.http = http.client.HTTPConnection(host, int(port), timeout=WAIT_S)

    def call(self, method: str, path: str, body: bytes | None = None, **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.http.request(method, "/2018-06-01" + path, body, named)
        answer = self.http.getresponse()
        return answer.status, answer.read(), answer.headers

    def next(self):
        status, body, headers = self.call("GET", "/runtime/invocation/next")
        assert status == 200, (status, body)
        return headers["Lambda-Runtime-Aws-Request-Id"], body, headers

    def respond(self, request_id: str, body: bytes, **headers: str):
        return self.call("POST", f"/runtime/invocation/{request_id}/response", body, **headers)


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi(hosts=["x"]) as api:
        yield api


@pytest.fixture
def peer(api) -> Iterator[Peer]:
    peer = Peer(api)
    yield peer
    peer.http.close()


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def raw(api: RuntimeApi) -> socket.socket:
    host, _, port = api.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=WAIT_S)


def read_all(sock: socket.socket) -> bytes:
    parts = []
    while part := sock.recv(65536):
        parts.append(part)
    return b"".join(parts)


def invoke(background: ThreadPoolExecutor, api: RuntimeApi, event: bytes = b"{}", **more) -> "Future[Result]":
    return background.submit(api.invoke, event, **more)


def test_an_event_goes_out_and_its_result_comes_back(api, peer, background):
    answer = invoke(background, api, b'{"a": 1}', request_id="req-1")
    request_id, body, _ = peer.next()
    assert (request_id, body) == ("req-1", b'{"a": 1}')
    status, said, headers = peer.respond(request_id, b'"done"', Content_Type="application/json")
    assert (status, said, headers["Content-Type"]) == (202, b'{"status":"OK"}\n', "application/json")
    result = answer.result(WAIT_S)
    assert result.ok
    assert (result.kind, result.body, result.content_type, result.http_status) == (
        "response",
        b'"done"',
        "application/json",
        200,
    )
    assert result.json() == "done"
    assert result.duration_s > 0


def test_an_event_carries_its_headers_in_the_servers_order(api, peer):
    api.submit(
        b"{}",
        request_id="r",
        deadline_ms=1_700_000_000_123,
        trace_id="Root=1-2;Sampled=1",
        client_context='{"custom": "\u00e4"}',
        identity='{"cognitoIdentityId": "i"}',
        tenant_id="blue",
        invocation_id="attempt-1",
        invoked_function_arn="arn:x",
    )
    _, _, headers = peer.next()
    values = [(n, v.encode("latin-1").decode()) for n, v in headers.items() if n != "Date"]
    assert values == [
        ("Content-Type", "application/json"),
        ("Lambda-Runtime-Aws-Request-Id", "r"),
        ("Lambda-Runtime-Aws-Tenant-Id", "blue"),
        ("Lambda-Runtime-Client-Context", '{"custom": "\u00e4"}'),
        ("Lambda-Runtime-Cognito-Identity", '{"cognitoIdentityId": "i"}'),
        ("Lambda-Runtime-Deadline-Ms", "1700000000123"),
        ("Lambda-Runtime-Invocation-Id", "attempt-1"),
        ("Lambda-Runtime-Invoked-Function-Arn", "arn:x"),
        ("Lambda-Runtime-Trace-Id", "Root=1-2;Sampled=1"),
        ("Content-Length", "2"),
    ]


def test_headers_without_a_value_are_left_out(api, peer):
    api.submit(b"{}")
    _, _, headers = peer.next()
    assert "Lambda-Runtime-Trace-Id" not in headers
    assert "Lambda-Runtime-Client-Context" not in headers


@pytest.mark.parametrize("bad", ["a\r\nX: y", "a\0b", " a", "a\t", "\x7f"], ids=repr)
def test_a_header_value_that_cannot_be_sent_is_refused_before_anything_is(api, bad):
    with pytest.raises(ValueError, match="Lambda-Runtime-Trace-Id has a character"):
        api.submit(b"{}", trace_id=bad)


@pytest.mark.parametrize(("size", "chunked"), [(2, False), (2048, False), (2049, True), (6_291_556, True)])
def test_events_over_2048_bytes_are_sent_in_one_chunk(api, size, chunked):
    event = b'"' + b"x" * (size - 2) + b'"'
    api.submit(event)
    with raw(api) as sock:
        sock.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, body = read_all(sock).partition(b"\r\n\r\n")
    assert (b"Transfer-Encoding: chunked" in head) is chunked
    assert (b"Content-Length" in head) is not chunked
    assert body == (b"%x\r\n%b\r\n0\r\n\r\n" % (size, event) if chunked else event)


def test_next_while_running_hands_out_the_same_event_again(api, peer):
    api.submit(b"1", request_id="a")
    api.submit(b"2", request_id="b")
    first, second = peer.next(), peer.next()
    assert first[:2] == second[:2] == ("a", b"1")
    assert first[2]["Lambda-Runtime-Deadline-Ms"] == second[2]["Lambda-Runtime-Deadline-Ms"]


def test_pipelined_requests_are_served_one_after_the_other(api):
    """Results and next polls in one write: the answers come in the order of the requests."""
    pending = [api.submit(b"1", request_id="a"), api.submit(b"2", request_id="b")]
    get = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n"

    def post(request_id: bytes, body: bytes) -> bytes:
        path = b"/2018-06-01/runtime/invocation/" + request_id + b"/response"
        return b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    end = b"GET /2018-06-01/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with raw(api) as sock:
        sock.sendall(get + post(b"a", b"A") + get + post(b"b", b"B") + end)
        text = read_all(sock)
    assert [p.answer().body for p in pending] == [b"A", b"B"]
    assert [text.count(b"HTTP/1.1 %d " % code) for code in (200, 202)] == [3, 2]
    assert text.index(b"Request-Id: a") < text.index(b'"OK"') < text.index(b"Request-Id: b") < text.index(b"pong")


def test_after_a_refused_post_the_pipelined_poll_gets_the_same_event(api, peer):
    api.submit(b"1", request_id="a")
    assert peer.next()[0] == "a"
    status, body, _ = peer.respond("other", b"{}")
    assert (status, body) == (400, b'{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}\n')
    assert peer.next()[0] == "a"


def test_an_error_is_recorded_under_the_type_of_its_header(api, peer, background):
    answer = invoke(background, api)
    request_id, _, _ = peer.next()
    document = b'{"errorMessage": "bad", "errorType": "ValueError", "requestId": "", "stackTrace": []}'
    path = f"/runtime/invocation/{request_id}/error"
    assert peer.call("POST", path, document, Lambda_Runtime_Function_Error_Type="Runtime.Oops")[0] == 202
    result = answer.result(WAIT_S)
    assert (result.ok, result.kind, result.error_type, result.body) == (False, "error", "Runtime.Oops", document)
    assert result.error["errorMessage"] == "bad"


def test_a_second_answer_is_forbidden(api, peer):
    api.submit(b"1", request_id="a")
    peer.next()
    assert peer.respond("a", b"1")[0] == 202
    status, body, _ = peer.respond("a", b"2")
    assert status == 403
    assert b"from RuntimeResponseSentState to InvocationResponse" in body
    status, body, _ = peer.call("POST", "/runtime/invocation/a/error", b"{}")
    assert status == 403
    assert b"to InvocationErrorResponse" in body


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/ping", 200, None),
        ("GET", "/nothing", 404, None),
        ("GET", "/runtime/restore/next", 404, None),
        ("DELETE", "/runtime/invocation/next", 405, "GET"),
        ("PUT", "/runtime/init/error", 405, "POST"),
        ("POST", "/runtime/invocation/x/response", 400, None),
    ],
)
def test_other_requests_are_answered_on_a_connection_that_lives_on(api, peer, method, path, status, allow):
    got, _, headers = peer.call(method, path, b"body" if method in ("POST", "PUT") else None)
    assert (got, headers["Allow"]) == (status, allow)
    assert peer.call("GET", "/ping")[:2] == (200, b"pong")
    assert peer.http.sock is not None, "the connection was closed"


def test_a_result_of_the_limit_is_taken_and_one_byte_more_is_not(api, peer, background):
    answers = [invoke(background, api, request_id=i) for i in "ab"]
    for _ in answers:
        request_id, _, _ = peer.next()
        status, body, _ = peer.respond(request_id, b"x" * (MAX_RESPONSE + (request_id == "b")))
        assert status == (413 if request_id == "b" else 202)
    assert body == (
        b'{"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).",'
        b'"errorType":"RequestEntityTooLarge"}\n'
    )
    fine, oversized = (a.result(WAIT_S) for a in answers)
    assert (fine.ok, len(fine.body)) == (True, MAX_RESPONSE)
    assert (oversized.kind, oversized.error_type) == ("oversized", "Function.ResponseSizeTooLarge")
    assert "exceeded maximum allowed payload size (6291556 bytes)." in oversized.error["errorMessage"]
    assert peer.http.sock is not None, "the connection was closed"


def test_an_error_over_the_limit_does_not_finish_the_invocation(peer, background):
    with RuntimeApi(max_response=10) as api:
        peer = Peer(api)
        answer = invoke(background, api)
        request_id, _, _ = peer.next()
        path = f"/runtime/invocation/{request_id}/error"
        status, _, headers = peer.call("POST", path, b"x" * 11)
        assert (status, headers["Connection"]) == (413, "close")
        assert peer.call("POST", path, b"x" * 10)[0] == 202
        assert answer.result(WAIT_S).body == b"x" * 10
        peer.http.close()


def test_a_wrong_response_mode_fails_the_invocation(api, peer, background):
    answer = invoke(background, api)
    request_id, _, _ = peer.next()
    status, body, _ = peer.respond(request_id, b"1", Lambda_Runtime_Function_Response_Mode="buffered")
    assert (status, json.loads(body)["errorType"]) == (400, "InvalidFunctionResponseMode")
    assert answer.result(WAIT_S).error_type == "Runtime.InvalidResponseModeHeader"
    assert peer.call("GET", "/runtime/invocation/next")[0] == 403


def test_a_body_that_is_cut_short_fails_the_invocation(api, background):
    answer = invoke(background, api, request_id="a")
    with raw(api) as sock:
        sock.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Request-Id: a" in sock.recv(65536)
        sock.sendall(
            b"POST /2018-06-01/runtime/invocation/a/response HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"
        )
        sock.shutdown(socket.SHUT_WR)
        text = read_all(sock)
    assert b"HTTP/1.1 400 " in text
    assert b"TruncatedHTTPRequest" in text
    assert answer.result(WAIT_S).error_type == "Runtime.TruncatedResponse"


def test_headers_up_to_the_limit_are_taken_and_more_are_a_431_without_effect(api, peer):
    api.submit(b"1", request_id="a")
    peer.next()

    def post(n_filler: int) -> bytes:
        with raw(api) as sock:
            sock.sendall(
                b"POST /2018-06-01/runtime/invocation/a/response HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                b"Content-Length: 1\r\nX: " + b"y" * n_filler + b"\r\n\r\n1"
            )
            return read_all(sock)

    refused = post(MAX_HEAD)
    assert refused.startswith(b"HTTP/1.1 431 ")
    assert b"Connection: close" in refused
    assert api.state is State.RUNNING
    assert post(MAX_HEAD - 1000).startswith(b"HTTP/1.1 202 ")


@pytest.mark.parametrize("junk", [b"hello\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"], ids=repr)
def test_what_is_not_http_is_a_400_and_the_end_of_the_connection(api, junk):
    with raw(api) as sock:
        sock.sendall(junk)
        assert read_all(sock).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_expects_100_continue_gets_it(api):
    api.submit(b"1", request_id="a")
    with raw(api) as sock:
        sock.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(65536)
        sock.sendall(
            b"POST /2018-06-01/runtime/invocation/a/response HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 1\r\nConnection: close\r\n\r\n"
        )
        assert sock.recv(65536).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b"1")
        assert b"HTTP/1.1 202 " in read_all(sock)


# ---- streams -------------------------------------------------------------------------------------------------------

STREAM_HEAD = (
    b"POST /2018-06-01/runtime/invocation/a/response HTTP/1.1\r\nHost: x\r\nContent-Type: text/event-stream\r\n"
    b"Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n"
)
TRAILERS = b"Trailer: Lambda-Runtime-Function-Error-Type\r\nTrailer: Lambda-Runtime-Function-Error-Body\r\n"


@pytest.fixture
def running(api) -> Iterator[socket.socket]:
    """A connection whose function has the event "a", which a streaming caller submitted."""
    with raw(api) as sock:
        api.pending = api.submit(b"{}", request_id="a", streaming=True)
        sock.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Request-Id: a" in sock.recv(65536)
        yield sock


def test_a_stream_reaches_the_caller_while_it_is_written(api, running):
    chunks = api.pending.chunks()
    running.sendall(STREAM_HEAD + b"\r\n")
    for text in (b"one", b"two!", b"three"):
        running.sendall(b"%x\r\n%b\r\n" % (len(text), text))
        assert next(chunks) == text
    running.sendall(b"0\r\n\r\n")
    assert list(chunks) == []
    result = api.pending.answer()
    assert (result.ok, result.streamed, result.content_type, result.body) == (True, True, "text/event-stream", b"")
    assert running.recv(65536).startswith(b"HTTP/1.1 202 ")


def test_a_stream_that_nobody_reads_in_parts_is_collected(api, running):
    running.sendall(STREAM_HEAD + b"\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert api.pending.answer().body == b"onetwo"


def test_the_writer_of_a_stream_waits_for_its_reader(api, running, background):
    size = 40 * 1024 * 1024
    sent = background.submit(running.sendall, STREAM_HEAD + b"\r\n%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")
    # 40 MiB fit in no socket buffer: the write cannot end, however long one waits, before something is read.
    with pytest.raises(TimeoutError):
        sent.result(0.5)
    assert sum(map(len, api.pending.chunks())) == size
    sent.result(WAIT_S)
    assert api.pending.answer().ok


def test_error_trailers_end_a_stream_as_an_error(api, running):
    document = b'{"errorMessage": "late", "errorType": "ValueError"}'
    running.sendall(
        STREAM_HEAD + TRAILERS + b"\r\n3\r\none\r\n0\r\nLambda-Runtime-Function-Error-Type: Function.Late\r\n"
        b"Lambda-Runtime-Function-Error-Body: " + base64.b64encode(document) + b"\r\n\r\n"
    )
    assert list(api.pending.chunks()) == [b"one"]
    result = api.pending.answer()
    assert (result.ok, result.error_type, result.stream_error) == (False, "Function.Late", document)
    assert result.error["errorMessage"] == "late"


def test_trailers_that_were_not_announced_are_ignored(api, running):
    running.sendall(STREAM_HEAD + b"\r\n0\r\nLambda-Runtime-Function-Error-Type: Function.Late\r\n\r\n")
    assert api.pending.answer().ok


# ---- init, restore, time-outs, ends of processes -------------------------------------------------------------------


def test_an_init_error_is_what_every_caller_gets(api, peer):
    before = api.submit(b"{}", request_id="a")
    document = b'{"errorMessage": "no", "errorType": "Runtime.ImportModuleError"}'
    status, _, _ = peer.call(
        "POST", "/runtime/init/error", document, Lambda_Runtime_Function_Error_Type="Runtime.ImportModuleError"
    )
    assert status == 202
    after = api.submit(b"{}", request_id="b")
    for pending in (before, after):
        result = pending.answer()
        assert (result.kind, result.error_type, result.body, result.http_status) == (
            "init_error",
            "Runtime.ImportModuleError",
            document,
            502,
        )
        assert result.request_id == pending.request_id
    status, body, _ = peer.call("POST", "/runtime/init/error", document)
    assert status == 403
    assert b"from InitError to InitError" in body
    assert peer.call("GET", "/runtime/invocation/next")[0] == 403


def test_a_snapshot_is_restored_and_the_function_goes_on(background):
    with RuntimeApi(snapstart=True) as api:
        peer = Peer(api)
        restored = background.submit(peer.call, "GET", "/runtime/restore/next")
        assert api.wait_state(State.RESTORE_READY) is State.RESTORE_READY
        with pytest.raises(TimeoutError):
            api.wait_state(State.RESTORING, timeout_s=0)
        api.restore()
        assert restored.result(WAIT_S)[:2] == (200, b"")
        with pytest.raises(ValueError, match="nothing to restore"):
            api.restore()
        answer = invoke(background, api)
        peer.respond(peer.next()[0], b"1")
        assert answer.result(WAIT_S).ok
        peer.http.close()


@pytest.mark.parametrize("path", ["/runtime/restore/error", "/runtime/init/error"])
def test_a_failed_restore_is_what_the_caller_gets(background, path):
    with RuntimeApi(snapstart=True) as api:
        peer = Peer(api)
        assert peer.call("POST", "/runtime/restore/error", b"{}")[0] == 403
        restored = background.submit(peer.call, "GET", "/runtime/restore/next")
        api.wait_state(State.RESTORE_READY)
        api.restore()
        restored.result(WAIT_S)
        header = "Runtime.AfterRestoreError"
        assert peer.call("POST", path, b'{"x": 1}', Lambda_Runtime_Function_Error_Type=header)[0] == 202
        result = api.invoke(b"{}")
        assert (result.kind, result.error_type) == ("restore_error", header)
        peer.http.close()


def test_at_the_deadline_the_caller_is_told_and_the_process_is_no_longer_heard(api, peer):
    pending = api.submit(b"{}", request_id="a", timeout_s=0.05)
    peer.next()
    result = pending.answer()
    assert (result.kind, result.error_type) == ("timeout", "Sandbox.Timeout")
    assert result.error["errorMessage"] == "RequestId: a Error: Task timed out after 0.05 seconds"
    with pytest.raises((OSError, http.client.HTTPException)):
        peer.respond("a", b"1")
    assert api.state is State.STARTED


def test_a_process_that_ends_leaves_an_exit_error_and_room_for_the_next(api, peer):
    running, queued = api.submit(b"1", request_id="a"), api.submit(b"2", request_id="b")
    peer.next()
    peer.http.close()
    api.process_exited("Runtime exited with error: exit status 3")
    result = running.answer()
    assert (result.kind, result.error_type, result.http_status) == ("exit", "Runtime.ExitError", 502)
    assert result.body == (
        b'{"errorType":"Runtime.ExitError",'
        b'"errorMessage":"RequestId: a Error: Runtime exited with error: exit status 3"}'
    )
    assert running.finished()
    another = Peer(api)
    assert another.next()[0] == "b"
    another.respond("b", b"2")
    assert queued.answer().ok
    another.http.close()


def test_what_a_process_wrote_just_before_its_end_still_counts(api):
    """The answer is still on its way when the exit becomes known, perhaps on a connection not even accepted."""
    pending = api.submit(b"1", request_id="a")
    with raw(api) as sock:
        sock.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(65536)
    with raw(api) as sock:
        sock.sendall(b"POST /2018-06-01/runtime/invocation/a/error HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    api.process_exited()
    assert pending.answer().kind == "error"


def test_an_invocation_is_over_when_the_next_event_is_asked_for(api, peer, background):
    pending = api.submit(b"1", request_id="a")
    peer.next()
    peer.respond("a", b"1")
    assert pending.answer().ok
    over = background.submit(pending.finished)
    assert not over.done()
    polling = background.submit(peer.next)
    assert over.result(WAIT_S) is True
    api.submit(b"2", request_id="b")
    assert polling.result(WAIT_S)[0] == "b"


def test_a_poll_whose_connection_has_gone_makes_room_for_another(api, peer):
    with raw(api) as sock:
        sock.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n")
        api.wait_state(State.READY)
        status, body, _ = peer.call("GET", "/runtime/invocation/next")
        assert status == 403, "the first poll is alive"
        assert b"from Ready to Ready" in body
    pending = api.submit(b"1", request_id="a")
    assert peer.next()[0] == "a"
    peer.respond("a", b"1")
    assert pending.answer().ok


def test_without_a_function_the_caller_is_told_so(api):
    with pytest.raises(TimeoutError, match=f"no function asked {api.address} for an event within 0.01 s"):
        api.invoke(b"{}", init_timeout_s=0.01)
    assert not api._queue


def test_closing_ends_threads_sockets_and_callers(background):
    api = RuntimeApi()
    peer = Peer(api)
    polling = background.submit(peer.call, "GET", "/runtime/invocation/next")
    api.wait_state(State.READY)
    api.close()
    api.close()
    with pytest.raises((OSError, http.client.HTTPException)):
        polling.result(WAIT_S)
    with pytest.raises(ValueError, match="closed"):
        api.submit(b"{}")
    assert not [t for t in threading.enumerate() if t.name == "runtime-api"]
    assert not api._connections
    with pytest.raises(OSError):
        raw(api).close()
