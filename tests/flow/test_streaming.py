"""Streamed results on the wire: the exact bytes, their order against the function's steps, and each way to fail."""

from __future__ import annotations

import asyncio
import base64
import json
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import stream_functions
from support import ACCEPTED, PATIENCE, ScriptedServer, event_answer, read_request

from fastlambda import Config, HttpStream, Runner, StreamingResponse, exec_async, exec_test, streaming
from fastlambda._core import Runtime, __version__
from fastlambda.errors import StreamClosed, TransportError, UsageError

pytestmark = pytest.mark.filterwarnings("error")


def read_until(connection: socket.socket, end: bytes, data: bytes = b"") -> bytes:
    while not data.endswith(end):
        part = connection.recv(65536)
        assert part, f"the connection was closed after {data[-200:]!r}"
        data += part
    return data


def read_to_the_end(connection: socket.socket) -> bytes:
    """All bytes until the connection is closed or reset."""
    data = bytearray()
    while True:
        try:
            part = connection.recv(1 << 20)
        except ConnectionResetError:
            part = b""
        if not part:
            return bytes(data)
        data += part


def chunks_of(body: bytes) -> tuple[list[bytes], bytes]:
    """The chunks of a chunked body, and its trailers."""
    chunks = []
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line, 16)
        if size == 0:
            assert body.endswith(b"\r\n")
            return chunks, body[:-2]
        chunks.append(body[:size])
        assert body[size : size + 2] == b"\r\n"
        body = body[size + 2 :]


class Seen:
    """What one scripted server has seen: a connection's request for the event, then what came after it."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def stream(self, connection: socket.socket) -> None:
        """Hands out an event and takes a whole stream."""
        read_request(connection)
        connection.sendall(event_answer())
        self.requests.append(read_until(connection, b"\r\n\r\n", read_until(connection, b"0\r\n\r\n")))
        connection.sendall(ACCEPTED)

    def trailers(self, connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        data = b""
        while b"\r\n0\r\n" not in data or not data.endswith(b"\r\n\r\n"):
            data = read_until(connection, b"\r\n", data + connection.recv(1))
        self.requests.append(data)
        connection.sendall(ACCEPTED)

    def plain(self, connection: socket.socket) -> None:
        """Hands out an event and takes a result with a length."""
        read_request(connection)
        connection.sendall(event_answer())
        head, body = read_request(connection)
        self.requests.append(head + b"\r\n\r\n" + body)
        connection.sendall(ACCEPTED)

    def body(self, n: int = 0) -> bytes:
        return self.requests[n].partition(b"\r\n\r\n")[2]

    def head(self, n: int = 0) -> bytes:
        return self.requests[n].partition(b"\r\n\r\n")[0]


def serve(server: ScriptedServer, handler: Callable[[Any, Any], Any], n: int = 1, **options: Any) -> None:
    runtime = Runtime(Config(runtime_api=server.address, **options), handler)
    runtime.serve(n)
    runtime.channel.close()
    if runtime.wait is not None:
        runtime.wait.__self__.close()  # the event loop, which lives as long as the process


CHUNKS = [b"first,", b"second,", b"third,", b"fourth"]


@pytest.mark.parametrize("form", ["generator", "async_generator", "response", "imperative", "open_at_the_end"])
@pytest.mark.parametrize("http", [None, "h11"])
def test_a_stream_has_exactly_the_bytes_of_the_contract(form: str, http: str | None) -> None:
    seen = Seen()
    with ScriptedServer(seen.stream) as server:
        serve(server, getattr(stream_functions, form), http=http)
    import sys

    assert seen.requests == [
        b"POST /2018-06-01/runtime/invocation/id-1/response HTTP/1.1\r\n"
        b"Host: " + server.address.encode() + b"\r\n"
        b"User-Agent: fastlambda/%s-python/%s\r\n"
        % (__version__.encode(), sys.version.split()[0].encode())
        + b"Content-Type: text/plain\r\n"
        b"Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        b"Trailer: Lambda-Runtime-Function-Error-Type\r\n"
        b"Trailer: Lambda-Runtime-Function-Error-Body\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
        b"6\r\nfirst,\r\n7\r\nsecond,\r\n6\r\nthird,\r\n6\r\nfourth\r\n0\r\n\r\n"
    ]


@pytest.mark.parametrize("runner", ["SyncRunner", "AsyncRunner"])
def test_a_runner_that_declares_a_stream_is_streamed(runner: str, tmp_path: Any) -> None:
    from fastlambda.runner import _set_up, _start

    seen = Seen()
    with ScriptedServer(seen.stream) as server:
        host, runtime = _start(getattr(stream_functions, runner), Config(runtime_api=server.address))
        _set_up(host, runtime)
        runtime.serve(1)
        host.close()
    assert chunks_of(seen.body()) == (CHUNKS, b"")
    assert b"Content-Type: application/octet-stream\r\n" in seen.head()


@pytest.mark.parametrize("runner", ["SyncRunner", "AsyncRunner"])
def test_exec_test_gives_the_bytes_of_a_stream(runner: str) -> None:
    results = exec_test(getattr(stream_functions, runner), {"invocations": [{}, {}]}, Config())
    assert results == [b"".join(CHUNKS)] * 2


@pytest.mark.parametrize("runner", ["SyncRunner", "AsyncRunner"])
def test_exec_async_streams_too(runner: str) -> None:
    seen = Seen()

    def no_more(connection: socket.socket) -> None:
        read_request(connection)

    with ScriptedServer(seen.stream, no_more) as server, pytest.raises(TransportError):
        asyncio.run(exec_async(getattr(stream_functions, runner), Config(runtime_api=server.address)))
    assert chunks_of(seen.body()) == (CHUNKS, b"")


def test_each_chunk_has_arrived_before_the_next_is_made() -> None:
    arrived = [threading.Event() for _ in range(50)]

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        read_until(connection, b"chunk 0\r\n")
        for n, event in enumerate(arrived[:-1]):
            event.set()
            read_until(connection, b"chunk %d\r\n" % (n + 1))
        arrived[-1].set()
        read_until(connection, b"0\r\n\r\n")
        connection.sendall(ACCEPTED)

    @streaming
    def handler(event: object, context: object) -> Iterator[bytes]:
        for n, event in enumerate(arrived):
            yield b"chunk %d" % n
            assert event.wait(PATIENCE), f"chunk {n} did not arrive while the handler was at it"

    with ScriptedServer(script) as server:
        serve(server, handler)


def test_http_headers_arrive_before_a_body_that_is_late() -> None:
    arrived = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        read_until(connection, bytes(8) + b"\r\n")
        arrived.set()
        read_until(connection, b"0\r\n\r\n")
        connection.sendall(ACCEPTED)

    @streaming
    def handler(event: object, context: object) -> Iterator[bytes | HttpStream]:
        yield HttpStream(200)
        assert arrived.wait(PATIENCE)
        yield b"late"

    with ScriptedServer(script) as server:
        serve(server, handler)


@pytest.mark.parametrize("form", ["http", "http_yielded"])
def test_the_http_prelude_is_json_and_eight_nul_bytes(form: str) -> None:
    seen = Seen()
    with ScriptedServer(seen.stream) as server:
        serve(server, getattr(stream_functions, form))
    assert b"Content-Type: application/vnd.awslambda.http-integration-response\r\n" in seen.head()
    chunks, _ = chunks_of(seen.body())
    assert chunks == [
        b'{"statusCode":201,"headers":{"X-A":"1","content-type":"application/octet-stream"},'
        b'"cookies":["b=2","a=1; Path=/"]}',
        bytes(8),
        b"body",
    ]


def test_a_prelude_has_no_nul_byte_and_stays_json_whatever_the_headers() -> None:
    text, separator = HttpStream(599, [("X-A", 'q"\\\x7f\xe9'), ("x-a", "2"), ("Content-Type", "text/html")]).prelude()
    assert separator == bytes(8)
    assert 0 not in text
    document = json.loads(text)
    assert document == {
        "statusCode": 599,
        "headers": {"X-A": 'q"\\\x7f\xe9, 2', "Content-Type": "text/html"},
        "cookies": [],
    }


@pytest.mark.parametrize(
    "make",
    [
        lambda: HttpStream(99),
        lambda: HttpStream(600),
        lambda: HttpStream(True),
        lambda: HttpStream("200"),  # type: ignore[arg-type]
        lambda: HttpStream(headers={"": "x"}),
        lambda: HttpStream(headers={"a b": "x"}),
        lambda: HttpStream(headers={"a\r\nb": "x"}),
        lambda: HttpStream(headers={"a": "x\r\ny: z"}),
        lambda: HttpStream(headers={"a": 1}),  # type: ignore[dict-item]
        lambda: HttpStream(cookies=["a\nb"]),
    ],
    ids=["99", "600", "bool", "text", "no name", "space", "name CRLF", "value CRLF", "int value", "cookie LF"],
)
def test_what_http_does_not_have_is_refused(make: Callable[[], HttpStream]) -> None:
    with pytest.raises(UsageError):
        make()


def test_a_content_type_cannot_bring_headers_of_its_own() -> None:
    seen = Seen()
    with ScriptedServer(seen.plain) as server:
        serve(server, lambda event, context: StreamingResponse([b"x"], content_type="a/b\r\nX-Evil: 1"))
    assert b"/error" in seen.head()
    assert b"\r\nX-Evil" not in seen.head()


# ---- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["value", "long", "type", "surrogate"])
@pytest.mark.parametrize("handler", ["failing", "failing_imperative"])
def test_an_error_after_the_first_byte_ends_the_stream_with_trailers(how: str, handler: str) -> None:
    seen = Seen()
    with ScriptedServer(seen.trailers, seen.plain) as server:
        runtime = Runtime(Config(runtime_api=server.address), None)
        runtime.bind(lambda event, context: getattr(stream_functions, handler)({"fail": how}, context))
        runtime.serve(1)
        runtime.bind(lambda event, context: "alive")
        runtime.serve(1)
        runtime.channel.close()
    chunks, trailers = chunks_of(seen.body())
    assert chunks == [b"beginning,"]
    lines = dict(line.split(b": ", 1) for line in trailers.removesuffix(b"\r\n").split(b"\r\n"))
    document = json.loads(base64.b64decode(lines.pop(b"Lambda-Runtime-Function-Error-Body"), validate=True))
    kind = {"type": "TypeError", "surrogate": "UnicodeEncodeError"}.get(how, "Odd")
    assert lines == {b"Lambda-Runtime-Function-Error-Type": kind.encode()}
    assert document["errorType"] == kind
    assert document["requestId"] == "id-1"
    assert "_fail" in "".join(document["stackTrace"]) or how in ("long", "type", "surrogate")
    assert len(trailers) + 2 < 4096, "Go's net/http refuses trailers that are longer than its buffer"
    assert seen.body(1) == b'"alive"'


@pytest.mark.parametrize("handler", ["failing", "failing_imperative"])
def test_an_error_before_the_first_byte_is_reported_as_any_other(handler: str) -> None:
    seen = Seen()
    with ScriptedServer(lambda c: (seen.plain(c), seen.plain(c))) as server:
        runtime = Runtime(Config(runtime_api=server.address), None)
        runtime.bind(lambda event, context: getattr(stream_functions, handler)({"fail": "x", "when": "first"}, context))
        runtime.serve(1)
        runtime.bind(lambda event, context: "alive")
        runtime.serve(1)
        runtime.channel.close()
    assert seen.head().startswith(b"POST /2018-06-01/runtime/invocation/id-1/error ")
    assert json.loads(seen.body())["errorMessage"] == "as asked"
    assert seen.body(1) == b'"alive"'


def test_an_error_after_the_end_is_logged_and_the_stream_stays_whole(capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen()
    with ScriptedServer(seen.stream) as server:
        serve(server, lambda e, context: stream_functions.failing_imperative({"fail": "x", "when": "closed"}, context))
    assert chunks_of(seen.body()) == ([b"beginning,"], b"")
    out, err = capsys.readouterr()
    assert "[ERROR] Odd: as asked" in out
    assert "after its stream was complete" in err


def test_a_handler_that_asks_to_leave_in_a_stream_ends_it_first() -> None:
    seen = Seen()
    with ScriptedServer(seen.trailers) as server, pytest.raises(SystemExit) as leaving:
        serve(server, lambda event, context: stream_functions.failing({"fail": "exit"}, context))
    assert leaving.value.code == 3
    assert b"Error-Type: SystemExit" in seen.body()


def test_a_generator_by_accident_stays_an_error_as_under_awss_client() -> None:
    seen = Seen()
    with ScriptedServer(seen.plain) as server:
        serve(server, stream_functions.accident)
    document = json.loads(seen.body())
    assert document["errorType"] == "Runtime.MarshalError"
    assert "Object of type generator is not JSON serializable" in document["errorMessage"]


@pytest.mark.parametrize(
    "body", [{"a": 1}, 17, None, [b"x", 1]], ids=["dict", "int", "None", "int chunk after the first"]
)
def test_what_is_no_stream_is_a_type_error(body: Any, capsys: pytest.CaptureFixture[str]) -> None:
    seen = Seen()
    script = seen.trailers if isinstance(body, list) else seen.plain
    with ScriptedServer(script) as server:
        serve(server, lambda event, context: StreamingResponse(body))
    assert "[ERROR] TypeError: a stream" in capsys.readouterr().out


def test_misuse_of_a_stream_is_told_to_the_handler() -> None:
    told = []

    def handler(event: object, context: Any) -> None:
        stream = context.response_stream()
        for misuse in (
            lambda: context.response_stream(),
            lambda: stream.write(b"x") and stream.write(HttpStream()),
            lambda: (stream.close(), stream.close(), stream.write(b"late")),
        ):
            try:
                misuse()
            except UsageError as exc:
                told.append(str(exc))

    seen = Seen()
    with ScriptedServer(seen.stream) as server:
        serve(server, handler)
    assert told == [
        "this invocation has a stream already",
        "an HttpStream is the first thing that a stream is given",
        "the stream is closed",
    ]
    assert chunks_of(seen.body()) == ([b"x"], b"")


# ---- the connection -----------------------------------------------------------------------------------------------


def endless(closed: threading.Event) -> Callable[[object, object], StreamingResponse]:
    def chunks() -> Iterator[bytes]:
        try:
            while True:
                yield bytes(65536)
        finally:
            closed.set()

    return lambda event, context: StreamingResponse(chunks())


def test_a_receiver_that_goes_away_ends_the_generator_and_the_next_invocation_is_answered(
    capsys: pytest.CaptureFixture[str],
) -> None:
    seen, closed = Seen(), threading.Event()

    def go_away(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        connection.recv(65536)

    with ScriptedServer(go_away, seen.plain) as server:
        runtime = Runtime(Config(runtime_api=server.address), endless(closed))
        runtime.serve(1)
        assert closed.is_set()
        runtime.bind(lambda event, context: "alive")
        runtime.serve(1)
        runtime.channel.close()
    assert seen.body() == b'"alive"'
    assert "cut off after" in capsys.readouterr().err


def test_an_answer_in_the_middle_says_why_the_stream_ended(capsys: pytest.CaptureFixture[str]) -> None:
    refusal = b"HTTP/1.1 413 Request Entity Too Large\r\nConnection: close\r\nContent-Length: 8\r\n\r\ntoo much"

    def refuse(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        connection.recv(65536)
        connection.sendall(refusal)
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(PATIENCE)
        # Read on until the runtime has noticed: a reset would throw the answer away.
        while connection.recv(1 << 20):
            pass

    seen = Seen()
    n = 0

    def chunks() -> Iterator[bytes]:
        nonlocal n
        while n < 1000:
            n += 1
            yield bytes(65536)

    with ScriptedServer(refuse, seen.plain) as server:
        runtime = Runtime(Config(runtime_api=server.address), lambda event, context: StreamingResponse(chunks()))
        runtime.serve(1)
        runtime.bind(lambda event, context: "alive")
        runtime.serve(1)
        runtime.channel.close()
    assert "answered with 413: b'too much'" in capsys.readouterr().err
    assert seen.body() == b'"alive"'


def test_the_imperative_form_learns_that_the_receiver_is_gone() -> None:
    def go_away(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        connection.recv(65536)

    caught = []

    def handler(event: object, context: Any) -> None:
        stream = context.response_stream()
        try:
            while True:
                stream.write(bytes(65536))
        except StreamClosed as exc:
            caught.append(exc)
        with pytest.raises(StreamClosed):
            stream.write(b"more")

    with ScriptedServer(go_away) as server:
        serve(server, handler)
    assert isinstance(caught[0], OSError)


def test_a_connection_that_was_closed_while_the_handler_ran_is_replaced_before_the_first_byte() -> None:
    gone = threading.Event()
    seen = Seen()

    def close_early(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())

    def script(connection: socket.socket) -> None:
        gone.set()
        seen.requests.append(read_until(connection, b"0\r\n\r\n"))
        connection.sendall(ACCEPTED)

    @streaming
    def handler(event: object, context: object) -> Iterator[bytes]:
        # The first connection is closed by the time that a second one can be made and accepted.
        with socket.create_connection(tuple(server.address.split(":")), timeout=PATIENCE):  # type: ignore[arg-type]
            accepted.wait(PATIENCE)
        yield b"once"

    accepted = threading.Event()

    def probe(connection: socket.socket) -> None:
        accepted.set()

    with ScriptedServer(close_early, probe, script) as server:
        serve(server, handler)
    assert chunks_of(seen.body()) == ([b"once"], b"")


def test_the_connection_is_closed_after_a_stream() -> None:
    seen = Seen()

    def script(connection: socket.socket) -> None:
        seen.stream(connection)
        assert connection.recv(1) == b""

    with ScriptedServer(script, seen.plain) as server:
        answers = iter([StreamingResponse(b"all"), "plain"])
        serve(server, lambda event, context: next(answers), 2)
    assert chunks_of(seen.body()) == ([b"all"], b"")


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations run when they are defined")
def test_a_streaming_handler_s_annotations_are_not_run() -> None:
    """PEP 649: a name that is imported for type checkers only is no fault until somebody asks for it."""
    names: dict[str, object] = {"streaming": streaming}
    source = "@streaming\ndef handler(event: Only, context: Checked) -> Known:\n    yield b'x'\n"
    exec(compile(source, "handler", "exec", dont_inherit=True), names)
    seen = Seen()
    with ScriptedServer(seen.stream) as server:
        serve(server, names["handler"])
    assert chunks_of(seen.body()) == ([b"x"], b"")
    with pytest.raises(NameError, match="Only"):
        _ = names["handler"].__annotations__  # type: ignore[attr-defined]
    names.update(Only=dict, Checked=object, Known=bytes)
    told = names["handler"].__annotations__  # type: ignore[attr-defined]
    assert told == {"event": dict, "context": object, "return": bytes}


@pytest.mark.parametrize("moment", ["in a chunk", "between chunks"])
def test_a_signal_that_raises_never_leaves_a_stream_that_looks_whole(moment: str) -> None:
    """In the middle of a chunk the body is cut off; between two it ends with trailers.

    The signal is sent until its handler has run: one that comes in the instant before the interpreter sleeps in a lock
    does not wake it, on any Python and without fastlambda (the guard sends its own again, too).
    """
    taken = bytearray()
    raised = threading.Event()
    main = threading.get_ident()

    def interrupt(signum: int, frame: object) -> None:
        if not raised.is_set():
            raised.set()
            raise stream_functions.Odd("interrupted")

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        while b"begin\r\n" not in taken:
            taken.extend(connection.recv(65536))
        if moment == "in a chunk":
            while not taken.endswith(bytes(65536)):
                taken.extend(connection.recv(1 << 20))
        for _ in range(int(PATIENCE * 100)):
            signal.pthread_kill(main, signal.SIGUSR1)
            if raised.wait(0.01):
                break
        if moment == "between chunks":
            taken.extend(read_until(connection, b"\r\n\r\n"))
            connection.sendall(ACCEPTED)
        else:
            taken.extend(read_to_the_end(connection))

    def chunks() -> Iterator[bytes]:
        yield b"begin"
        if moment == "in a chunk":
            yield bytes(64 << 20)
        time.sleep(PATIENCE)  # not Event.wait(): an exception inside it may be lost to "release unlocked lock"

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with ScriptedServer(script) as server:
            serve(server, lambda event, context: StreamingResponse(chunks()))
    finally:
        signal.signal(signal.SIGUSR1, before)
    if moment == "between chunks":
        assert b"0\r\nLambda-Runtime-Function-Error-Type: Odd\r\n" in taken
    else:
        assert len(taken) < 64 << 20
        assert taken.endswith(bytes(8)), "nothing follows a chunk that was cut"


# ---- coalescing ---------------------------------------------------------------------------------------------------


def test_coalescing_sends_when_the_bound_in_bytes_is_reached() -> None:
    seen = Seen()
    with ScriptedServer(seen.stream) as server:
        body = [b"x" * 10] * 25
        serve(server, lambda event, context: StreamingResponse(body, coalesce_bytes=100, coalesce_ms=3_600_000))
    assert [len(chunk) for chunk in chunks_of(seen.body())[0]] == [100, 100, 50]


def test_coalescing_sends_when_the_bound_in_time_is_reached_while_the_handler_waits() -> None:
    arrived = threading.Event()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        read_until(connection, b"\r\nsmall\r\n")
        arrived.set()
        read_until(connection, b"0\r\n\r\n")
        connection.sendall(ACCEPTED)

    def chunks() -> Iterator[str]:
        yield "sm"
        yield "all"
        assert arrived.wait(PATIENCE), "the chunk waited for more"

    with ScriptedServer(script) as server:
        serve(server, lambda event, context: StreamingResponse(chunks(), coalesce_bytes=1000, coalesce_ms=1))


@pytest.mark.parametrize("bounds", [(10, 0), (0, 10), (-1, 1)])
def test_coalescing_needs_both_bounds(bounds: tuple[int, float]) -> None:
    seen = Seen()
    with ScriptedServer(seen.plain) as server:
        serve(
            server,
            lambda event, context: StreamingResponse(b"x", coalesce_bytes=bounds[0], coalesce_ms=bounds[1]),
        )
    assert json.loads(seen.body())["errorType"] == "UsageError"


# ---- forms --------------------------------------------------------------------------------------------------------


def test_the_decorator_keeps_the_handlers_face() -> None:
    def handler(event: object, context: object) -> Iterator[bytes]:
        """Says something."""
        yield b""

    decorated = streaming(handler)
    assert (decorated.__name__, decorated.__doc__) == ("handler", "Says something.")
    assert decorated.__wrapped__ is handler  # type: ignore[attr-defined]


def test_a_runner_can_stream_by_returning_one() -> None:
    class Mixed(Runner[None, dict, object]):
        def run(self, shared: object, event: Any) -> object:
            return StreamingResponse(self.chunks(), "text/plain") if event.event else "plain"

        async def chunks(self) -> AsyncIterator[str]:
            yield "a"
            yield "b"

    assert exec_test(Mixed, {"invocations": [{"stream": 1}, {}]}, Config()) == [b"ab", "plain"]


def test_the_name_of_the_decorator_is_never_that_of_a_module() -> None:
    import fastlambda
    import fastlambda.streams

    assert callable(fastlambda.streaming)
    assert callable(fastlambda.StreamingResponse)


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b""], ids=["nonsense", "none"])
def test_a_stream_whose_answer_is_lost_is_told_and_the_next_invocation_answered(
    answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = Seen()

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer(request_id="id-0"))
        read_until(connection, b"0\r\n\r\n")
        connection.sendall(answer)

    with ScriptedServer(script, seen.plain) as server:
        answers = iter([StreamingResponse(b"all"), "alive"])
        serve(server, lambda event, context: next(answers), 2)
    assert seen.body() == b'"alive"'
    assert "whether the stream of invocation id-0 arrived is not known" in capsys.readouterr().err


def test_an_event_whose_streams_end_is_not_known_is_not_run_again_when_it_comes_again() -> None:
    """The next poll may overtake the stream, whose event is handed out again then."""
    calls = []

    def script(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        read_until(connection, b"0\r\n\r\n")

    def again(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(event_answer())
        head, body = read_request(connection)
        assert b"/invocation/id-1/error " in head
        assert b"Runtime.ResponseRefused" in body
        connection.sendall(ACCEPTED)
        read_request(connection)
        connection.sendall(event_answer(request_id="id-2"))
        assert read_request(connection)[1] == b'"alive"'
        connection.sendall(ACCEPTED)

    def handler(event: Any, context: Any) -> Any:
        calls.append(context.aws_request_id)
        return StreamingResponse(b"all") if len(calls) == 1 else "alive"

    with ScriptedServer(script, again) as server:
        serve(server, handler, 2)
    assert calls == ["id-1", "id-2"]
