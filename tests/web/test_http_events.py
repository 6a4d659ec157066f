"""The translation of events and answers, and what an application's misbehaviour becomes."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_events import FORMATS, Http, alb, alb_multi, buffered, function_url, rest, streamed
from support import ACCEPTED, PATIENCE, ScriptedServer, event_answer, read_request

from fastlambda import Config, Context
from fastlambda._core import Invocation, Runtime
from fastlambda.errors import UsageError
from fastlambda.http import asgi, wsgi
from fastlambda.http.answers import response_of
from fastlambda.http.events import request_of
from fastlambda.local.process import Function


def context() -> Context:
    return Context(Invocation.offline(b"{}", "id-1"), Config())


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "text",
        {},
        {"Records": []},
        {"source": "aws.events", "detail": {}},
        {"version": "2.0", "requestContext": {}},
        {"requestContext": {"stage": "prod"}},
        {"requestContext": None, "httpMethod": "GET", "path": "/"},
        {"path": "/", "method": "GET"},
    ],
)
def test_an_event_that_is_not_http_goes_to_the_fallback(event: Any) -> None:
    assert request_of(event) is None
    handler = wsgi(lambda environ, start: [], fallback=lambda event, context: ("fell back", event))
    assert handler(event, context()) == ("fell back", event)
    with pytest.raises(UsageError, match="not HTTP"):
        wsgi(lambda environ, start: [])(event, context())


@pytest.mark.parametrize("source", FORMATS)
def test_every_format_gives_the_same_request(source: str) -> None:
    http = Http("POST", "/a%20b/c?x=1&y=%C3%A9", [("Host", "h:81"), ("Content-Type", "a/b")], b"\x00\xff")
    request = request_of(FORMATS[source](http))
    assert request is not None
    assert (request.method, request.path, request.raw_path) == ("POST", "/a b/c", "/a%20b/c")
    assert (request.query_string, request.body) == ("x=1&y=%C3%A9", b"\x00\xff")
    assert (request.host, request.port, request.client) == ("h", 81, "203.0.113.9")
    assert ("content-type", "a/b") in request.headers


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("n", [0, 1, 2, 9])
def test_every_format_carries_any_number_of_cookies(source: str, n: int) -> None:
    request = request_of(FORMATS[source](Http("GET", "/")))
    assert request is not None
    cookies = [f"c{i}={i}; Path=/" for i in range(n)]
    answer = response_of(request, 200, [("X-A", "1"), *(("Set-Cookie", c) for c in cookies)], b"")
    assert buffered(json.loads(json.dumps(answer))).cookies == cookies


@pytest.mark.parametrize(
    ("kind", "body", "is_base64"),
    [
        ("text/plain", b"h\xc3\xa9", False),
        ("text/plain", b"\xff\xfe", True),
        ("application/json; charset=utf-8", b"{}", False),
        ("application/problem+json", b"{}", False),
        ("image/svg+xml", b"<svg/>", False),
        ("image/png", b"abc", True),
        ("", b"abc", True),
        ("", b"", False),
    ],
)
def test_only_text_leaves_as_text(kind: str, body: bytes, is_base64: bool) -> None:
    request = request_of(rest(Http("GET", "/")))
    assert request is not None
    answer = response_of(request, 200, [("Content-Type", kind)] if kind else [], body)
    assert answer["isBase64Encoded"] is is_base64
    assert (base64.b64decode(answer["body"]) if is_base64 else answer["body"].encode()) == body


def test_a_compressed_body_is_never_sent_as_text() -> None:
    request = request_of(alb(Http("GET", "/")))
    assert request is not None
    answer = response_of(request, 200, [("content-type", "text/plain"), ("content-encoding", "br")], b"abc")
    assert answer["isBase64Encoded"] is True
    assert answer["statusDescription"] == "200 OK"


def test_a_load_balancer_gets_headers_in_the_form_that_it_sent() -> None:
    for make, key in ((alb, "headers"), (alb_multi, "multiValueHeaders")):
        request = request_of(make(Http("GET", "/")))
        assert request is not None
        assert {"headers", "multiValueHeaders"} & set(response_of(request, 200, [], b"")) == {key}


# ---- applications that misbehave ------------------------------------------------------------------------------------


def body_of(app: Any, **options: Any) -> tuple[int, bytes]:
    handler = asgi(app, lifespan="off", **options)
    try:
        outcome = buffered(handler(function_url(Http("GET", "/")), context()))
        return outcome.status, outcome.body
    finally:
        handler.close()


async def raises_first(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError("as asked")


async def raises_in_the_middle(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise ValueError("as asked")


async def returns_early(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def starts_twice(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.start", "status": 200, "headers": []})


async def sends_a_websocket(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "websocket.accept"})


@pytest.mark.parametrize(
    "app",
    [raises_first, raises_in_the_middle, returns_early, starts_twice, sends_a_websocket],
    ids=lambda a: a.__name__,
)
def test_an_application_that_fails_is_a_500_and_logged(app: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert body_of(app) == (500, b"Internal Server Error")
    out, err = capsys.readouterr()
    assert "[ERROR]" in out or "before its response was complete" in err


def test_disconnect_comes_only_when_the_response_is_over() -> None:
    messages = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        messages.append(await receive())
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"all"})
        messages.append(await waiting)

    assert body_of(app) == (200, b"all")
    assert [m["type"] for m in messages] == ["http.request", "http.disconnect"]


@pytest.mark.parametrize(("lifespan", "is_error"), [("auto", False), ("on", True), ("off", False)])
def test_an_application_without_lifespan_is_an_error_only_when_one_is_asked_for(lifespan: str, is_error: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    handler = asgi(app, lifespan=lifespan)
    try:
        if is_error:
            with pytest.raises(RuntimeError, match="no lifespan"):
                handler(function_url(Http("GET", "/")), context())
        else:
            assert handler(function_url(Http("GET", "/")), context())["statusCode"] == 200
    finally:
        handler.close()


def test_a_start_up_that_fails_is_an_error_and_a_shut_down_is_run() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((await receive())["type"])
        await send({"type": "lifespan.startup.complete"})
        seen.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    handler = asgi(app)
    handler.fastlambda_start()
    handler.close()
    assert seen == ["lifespan.startup", "lifespan.shutdown"]
    broken = asgi(failing)
    with pytest.raises(RuntimeError, match="no database"):
        broken.fastlambda_start()
    broken.close()


def test_a_fallback_may_be_asynchronous() -> None:
    async def fallback(event: Any, context: Any) -> str:
        await asyncio.sleep(0)
        return "fell back"

    handler = asgi(raises_first, lifespan="off", fallback=fallback)
    assert handler({"Records": []}, context()) == "fell back"
    handler.close()


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_each_piece_of_a_streamed_response_arrives_before_the_next_is_made(kind: str) -> None:
    arrived = [threading.Event() for _ in range(5)]

    def script(connection: Any) -> None:
        read_request(connection)
        connection.sendall(event_answer(json.dumps(function_url(Http("GET", "/"))).encode()))
        data = b""
        for n, event in enumerate(arrived):
            while b"piece %d" % n not in data:
                data += connection.recv(65536)
            event.set()
        while not data.endswith(b"0\r\n\r\n"):
            data += connection.recv(65536)
        connection.sendall(ACCEPTED)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for n, event in enumerate(arrived):
            await send({"type": "http.response.body", "body": b"piece %d" % n, "more_body": True})
            assert event.wait(PATIENCE)
        await send({"type": "http.response.body"})

    def wsgi_app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        for n, event in enumerate(arrived):
            yield b"piece %d" % n
            assert event.wait(PATIENCE)

    handler: Any = asgi(app, lifespan="off", stream=True) if kind == "asgi" else wsgi(wsgi_app, stream=True)
    with ScriptedServer(script) as server:
        runtime = Runtime(Config(runtime_api=server.address), handler)
        runtime.serve(1)
        runtime.channel.close()
    if kind == "asgi":
        handler.close()


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_a_streamed_response_that_fails_in_its_middle_ends_with_trailers(kind: str) -> None:
    received = bytearray()

    def script(connection: Any) -> None:
        read_request(connection)
        connection.sendall(event_answer(json.dumps(function_url(Http("GET", "/"))).encode()))
        while b"0\r\nLambda" not in received or not received.endswith(b"\r\n\r\n"):
            received.extend(connection.recv(65536))
        connection.sendall(ACCEPTED)

    def wsgi_app(environ: Any, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"half"
        raise ValueError("as asked")

    handler: Any = (
        asgi(raises_in_the_middle, lifespan="off", stream=True) if kind == "asgi" else wsgi(wsgi_app, stream=True)
    )
    with ScriptedServer(script) as server:
        runtime = Runtime(Config(runtime_api=server.address), handler)
        runtime.serve(1)
        runtime.channel.close()
    if kind == "asgi":
        handler.close()
    assert b"4\r\nhalf\r\n0\r\nLambda-Runtime-Function-Error-Type: ValueError\r\n" in received


@pytest.mark.parametrize("form", ["handler", "streaming_handler"])
def test_the_deadline_cancels_a_request_and_the_process_goes_on(form: str) -> None:
    def ask(path: str) -> Any:
        return function.invoke(json.dumps(function_url(Http("GET", path))).encode()).result

    def text() -> str:
        body: bytes = ask("/").body
        outcome = streamed(body) if form == "streaming_handler" else buffered(json.loads(body))
        return outcome.body.decode()

    more = {"FASTLAMBDA_TIMEOUT_MARGIN_MS": "1000", "FASTLAMBDA_TIMEOUT_LAST_MS": "500"}
    more |= {"FASTLAMBDA_AFTER_TIMEOUT": "keep"}
    with Function(f"hanging_app.{form}", cwd=Path(__file__).parent, timeout_s=2, env=more) as function:
        pid, _, cancelled = text().partition(" ")
        assert cancelled == ""
        for path in ("/wait", "/block", "/half"):
            result = ask(path)
            assert result.error["errorType"] == "Runtime.InvocationTimeout"
            assert "sleep(3600)" in "".join(result.error["stackTrace"])
        assert result.streamed == (form == "streaming_handler")
        assert text() == f"{pid} wait,half"
