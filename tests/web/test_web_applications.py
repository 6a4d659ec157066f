"""Web applications through each event format, against uvicorn and waitress serving the same applications."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_events import FORMATS, Http, Outcome, buffered, function_url, outcome_of, rest, streamed
from support import PATIENCE, ROOT, clean_env, end_process

from fastlambda.local.process import Function

WEB = ROOT / "examples" / "web"
HOST = "service.example:8080"

BOUNDARY = "a-boundary"
FILE = bytes(range(256)) * 64
FORM = (
    b"--a-boundary\r\n"
    b'Content-Disposition: form-data; name="file"; filename="data.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n" + FILE + b"\r\n--a-boundary--\r\n"
)

BEHAVIOURS = {
    "index": Http("GET", "/"),
    "query": Http("GET", "/echo?a=1&b=x%20y&c=%C3%A9&empty=&d=a%2Bb&e=a+b&f=%26%3D"),
    "a name several times in the query": Http("GET", "/echo?a=1&a=2"),
    "cookies in": Http("GET", "/echo", [("Cookie", "a=1; b=two")]),
    "a header several times": Http("GET", "/echo", [("x-many", "1"), ("x-many", "2")]),
    "text body": Http("POST", "/echo", [("Content-Type", "text/plain")], "h\xe9llo".encode()),
    "binary body": Http("PUT", "/echo", [("Content-Type", "application/octet-stream")], bytes(range(256))),
    "JSON body": Http("PATCH", "/echo", [("Content-Type", "application/json")], b'{"a": [1, 2]}'),
    "DELETE": Http("DELETE", "/echo"),
    "escaped path": Http("GET", "/item/caf%C3%A9%20au%2Blait"),
    "cookies out": Http("GET", "/cookies"),
    "headers out": Http("GET", "/many"),
    "redirect": Http("GET", "/redirect"),
    "trailing slash": Http("GET", "/echo/?a=1"),
    "upload": Http("POST", "/upload", [("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")], FORM),
    "stream": Http("GET", "/stream"),
    "server-sent events": Http("GET", "/events"),
    "error": Http("GET", "/broken"),
    "not found": Http("GET", "/no/such/place"),
    "method not allowed": Http("POST", "/teapot"),
    "HEAD": Http("HEAD", "/teapot"),
    "HEAD of a stream": Http("HEAD", "/stream"),
    "large body": Http("GET", "/large"),
    "no content": Http("GET", "/nothing"),
    "teapot": Http("GET", "/teapot"),
}
# A gateway that has one value for a name hands on one.
LOST = {"alb": {"a name several times in the query"}}

# What the server adds itself, and what belongs to its connection. docs/http.md lists these differences.
OF_THE_SERVER = {"date", "server", "connection", "transfer-encoding", "keep-alive", "via"}


def request_of(behaviour: Http) -> Http:
    headers = [("Host", HOST), ("X-Forwarded-Proto", "http"), *behaviour.headers]
    if behaviour.body or behaviour.method in ("POST", "PUT", "PATCH"):
        headers.append(("Content-Length", str(len(behaviour.body))))
    return Http(behaviour.method, behaviour.target, headers, behaviour.body)


def comparable(outcome: Outcome) -> Outcome:
    headers = {k: v for k, v in outcome.headers.items() if k not in OF_THE_SERVER}
    body = outcome.body
    if "allow" in headers:
        headers["allow"] = ", ".join(sorted(headers["allow"].split(", ")))
    if headers.get("content-type", "").startswith("application/json"):
        # A gateway may join the values of a name.
        document = json.loads(body) if body else None
        if isinstance(document, dict) and "x-many" in document:
            document["x-many"] = [v.strip() for v in ",".join(document["x-many"]).split(",")]
            headers.pop("content-length", None)
            body = json.dumps(document).encode()
    return Outcome(outcome.status, headers, outcome.cookies, body)


UVICORN = "import uvicorn; uvicorn.run('{name}:app', fd={fd}, log_level='critical', lifespan='auto')"
WAITRESS = "import socket, waitress, {name} as m; waitress.serve(m.app, sockets=[socket.socket(fileno={fd})])"


class Reference:
    """uvicorn or waitress with one of the example applications."""

    def __init__(self, name: str, folder: Path) -> None:
        start = WAITRESS if name == "flask_app" else UVICORN
        with socket.create_server(("127.0.0.1", 0)) as listener, (folder / f"{name}.log").open("wb") as log:
            self.port = listener.getsockname()[1]
            listener.set_inheritable(True)
            self.process = subprocess.Popen(
                [sys.executable, "-c", start.format(name=name, fd=listener.fileno())],
                cwd=WEB,
                env=clean_env(PYTHONPATH=str(WEB)),
                pass_fds=[listener.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ask(self, request: Http) -> Outcome:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                connection.putheader(name, value)
            connection.endheaders(request.body or None)
            answer = connection.getresponse()
            return outcome_of(answer.status, answer.getheaders(), answer.read())


APPS = ["starlette_app", "fastapi_app", "django_app", "flask_app"]


@pytest.fixture(scope="module", params=APPS)
def app(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def expected(app: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    reference = Reference(app, tmp_path_factory.mktemp("reference"))
    try:
        yield {name: comparable(reference.ask(request_of(http))) for name, http in BEHAVIOURS.items()}
    finally:
        end_process(reference.process)


@pytest.fixture(scope="module")
def function(app: str) -> Iterator[Function]:
    with Function(f"{app}.handler", cwd=WEB) as function:
        yield function


@pytest.fixture(scope="module")
def streaming_function(app: str) -> Iterator[Function]:
    with Function(f"{app}.streaming_handler", cwd=WEB) as function:
        yield function


def ask(function: Function, event: dict[str, Any], is_streamed: bool) -> Outcome:
    chunks: list[bytes] = []
    report = function.invoke(json.dumps(event).encode(), on_chunk=chunks.append)
    assert report.result.ok, report.result.error
    body = b"".join(chunks)
    return streamed(body) if is_streamed else buffered(json.loads(body))


@pytest.mark.parametrize("source", FORMATS)
def test_a_response_is_that_of_the_reference_server(source: str, function: Function, expected: Any) -> None:
    got = {
        name: comparable(ask(function, FORMATS[source](request_of(http)), False))
        for name, http in BEHAVIOURS.items()
        if name not in LOST.get(source, ())
    }
    for name, outcome in got.items():
        assert outcome == expected[name], f"{name} through {source}"
    assert function.starts == 1


@pytest.mark.parametrize("source", ["function-url", "rest"])
def test_a_streamed_response_is_that_of_the_reference_server(
    source: str, streaming_function: Function, expected: Any
) -> None:
    for name, behaviour in BEHAVIOURS.items():
        outcome = comparable(ask(streaming_function, FORMATS[source](request_of(behaviour)), True))
        wanted = expected[name]
        # A streamed response has a content type in any case (its prelude needs one).
        if "content-type" not in wanted.headers:
            assert outcome.headers.pop("content-type") == "application/octet-stream"
        assert outcome == wanted, f"{name} through {source}"
    assert streaming_function.starts == 1


@pytest.mark.parametrize("source", ["alb", "lattice-v2"])
def test_a_source_that_cannot_stream_gets_the_response_in_one_piece(
    source: str, streaming_function: Function, expected: Any
) -> None:
    event = FORMATS[source](request_of(BEHAVIOURS["stream"]))
    assert comparable(ask(streaming_function, event, False)) == expected["stream"]


@pytest.mark.parametrize("event", [function_url(Http("GET", "/echo"), "prod"), rest(Http("GET", "/echo"), "prod")])
def test_the_stage_is_where_the_application_is_mounted(event: dict[str, Any], app: str, function: Function) -> None:
    answer = json.loads(ask(function, event, False).body)
    assert answer["path"] == "/prod/echo"


def test_the_lifespan_runs_once_for_all_invocations(app: str, function: Function) -> None:
    event = function_url(request_of(BEHAVIOURS["index"]))
    for _ in range(3):
        assert json.loads(ask(function, event, False).body) == {"greeting": "hello", "starts": 1}


@pytest.mark.parametrize("is_streamed", [False, True], ids=["buffered", "streamed"])
def test_background_tasks_are_finished_before_the_next_event(
    is_streamed: bool, app: str, function: Function, streaming_function: Function
) -> None:
    if app not in ("starlette_app", "fastapi_app"):
        return  # these two have background tasks
    event = function_url(request_of(Http("GET", "/background")))
    used = streaming_function if is_streamed else function
    assert [ask(used, event, is_streamed).body for _ in range(3)] == [b"0", b"1", b"2"]
