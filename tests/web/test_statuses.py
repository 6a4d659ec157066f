"""A status that HTTP has no answer for is the application's mistake: 500 for the caller, the reason in the log."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import pytest
from http_events import FORMATS, Http, buffered
from support import ACCEPTED, ScriptedServer, event_answer, read_request
from test_http_events import context

from fastlambda import Config
from fastlambda._core import Runtime
from fastlambda.http import asgi, wsgi

NO_ANSWER = [-10, 0, 1, 99, 100, 101, 199, 600, 999, 2000, None, "", "OK", 200.5, True]
ANSWERS = [200, 204, 299, 304, 404, 599, HTTPStatus.CREATED]


def answered(kind: str, source: str, status: Any, *, late: bool = False) -> tuple[int, bytes]:
    """What the caller gets from an application with that status."""

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send({"type": "http.response.start", "status": status, "headers": []})
        except Exception:
            if not late:
                raise
            await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    def wsgi_app(environ: Any, start: Any) -> list[bytes]:
        try:
            start(status if isinstance(status, str) else f"{status} Said So", [])
        except Exception:
            if not late:
                raise
            start("503 Said So", [])
        return [b"x"]

    handler = asgi(asgi_app, lifespan="off") if kind == "asgi" else wsgi(wsgi_app)
    try:
        outcome = buffered(json.loads(json.dumps(handler(FORMATS[source](Http("GET", "/")), context()))))
        return outcome.status, outcome.body
    finally:
        if kind == "asgi":
            handler.close()


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("status", NO_ANSWER, ids=repr)
def test_a_status_that_is_no_answer_is_a_500(
    kind: str, source: str, status: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answered(kind, source, status) == (500, b"Internal Server Error")
    assert "200 to 599" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("status", ANSWERS, ids=int)
def test_every_status_that_is_an_answer_passes(kind: str, status: int) -> None:
    body = b"" if status in (204, 304) else b"x"
    assert answered(kind, "function-url", int(status)) == (status, body)


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_an_application_may_answer_after_its_first_status_was_refused(kind: str) -> None:
    assert answered(kind, "function-url", 999, late=True) == (503, b"x")


@pytest.mark.parametrize("status", ["20 OK", "2000 OK", " 200 OK", "200OK", "２００ OK", "+200 OK", b"200 OK", 200])
def test_a_wsgi_status_has_three_digits_and_a_blank(status: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def app(environ: Any, start: Any) -> list[bytes]:
        start(status, [])
        return [b"x"]

    handler = wsgi(app)
    assert handler(FORMATS["function-url"](Http("GET", "/")), context())["statusCode"] == 500
    assert "200 to 599" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
@pytest.mark.parametrize("status", [-10, 100, 999])
def test_a_streamed_response_with_such_a_status_is_a_500_too(kind: str, status: int) -> None:
    received = bytearray()

    def script(connection: Any) -> None:
        read_request(connection)
        connection.sendall(event_answer(json.dumps(FORMATS["function-url"](Http("GET", "/"))).encode()))
        while not received.endswith(b"0\r\n\r\n"):
            data = connection.recv(65536)
            assert data, bytes(received)
            received.extend(data)
        connection.sendall(ACCEPTED)

    async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    def wsgi_app(environ: Any, start: Any) -> list[bytes]:
        start(f"{status} Said So", [])
        return [b"x"]

    handler: Any = asgi(asgi_app, lifespan="off", stream=True) if kind == "asgi" else wsgi(wsgi_app, stream=True)
    with ScriptedServer(script) as server:
        runtime = Runtime(Config(runtime_api=server.address), handler)
        runtime.serve(1)
        runtime.channel.close()
    if kind == "asgi":
        handler.close()
    assert b'{"statusCode":500,' in received and b"Internal Server Error" in received
