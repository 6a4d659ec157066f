"""What events of the field hold beyond the documented: each value is the one that a server on a socket would show."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from http_events import FORMATS, Http, alb, alb_multi, function_url, http_api_1, lattice_v1, lattice_v2, rest
from probe import ADAPTERS, COPIED, Probe

from fastlambda.errors import UsageError
from fastlambda.http import asgi, wsgi

STREAMING = ["function-url", "rest", "http-api-1"]


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def probe(adapter: str) -> Iterator[Any]:
    """Makes probes and ends them."""
    made: list[Probe] = []

    def make(*args: Any, **options: Any) -> Probe:
        made.append(Probe(adapter, *args, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ---- where the application is mounted ----------------------------------------------------------------------------


def encoded(event: dict[str, Any]) -> dict[str, Any]:
    """A REST event whose `path` is decoded, and the context's is not."""
    return {**event, "path": "/caf\xe9"}


MOUNTS = {
    "HTTP API 2.0, named stage": (function_url(Http("GET", "/items"), "dev"), None, "/dev", "/items"),
    "HTTP API 2.0, $default": (function_url(Http("GET", "/items")), None, "", "/items"),
    "HTTP API 2.0, a path like the stage's name": (function_url(Http("GET", "/x"), "dev"), "/dev", "/dev", "/x"),
    "HTTP API 1.0, named stage": (http_api_1(Http("GET", "/items"), "dev"), None, "/dev", "/items"),
    "HTTP API 1.0, named stage, its root": (http_api_1(Http("GET", ""), "dev"), None, "/dev", ""),
    "HTTP API 1.0, $default": (http_api_1(Http("GET", "/items")), None, "", "/items"),
    "HTTP API 1.0, no path in the context": (
        {**http_api_1(Http("GET", "/items"), "dev"), "requestContext": {"stage": "dev"}},
        None,
        "/dev",
        "/items",
    ),
    "HTTP API 1.0, a path that only begins like the stage": (
        {**http_api_1(Http("GET", "/developers")), "requestContext": {"stage": "dev", "path": "/developers"}},
        None,
        "",
        "/developers",
    ),
    "REST, stage": (rest(Http("GET", "/items"), "prod"), None, "/prod", "/items"),
    "REST, stage, root": (rest(Http("GET", "/"), "prod"), None, "/prod", "/"),
    "REST, stage, path escaped in the context only": (
        encoded(rest(Http("GET", "/caf%C3%A9"), "prod")),
        None,
        "/prod",
        "/caf\xe9",
    ),
    "REST, own domain, path escaped in the context only": (
        encoded(rest(Http("GET", "/caf%C3%A9"))),
        None,
        "",
        "/caf\xe9",
    ),
    "REST, stage, option": (rest(Http("GET", "/items"), "prod"), "/shop", "/prod", "/items"),
    "HTTP API 1.0, stage, option": (http_api_1(Http("GET", "/items"), "dev"), "/shop", "/dev", "/items"),
    "HTTP API 2.0, stage, option": (function_url(Http("GET", "/items"), "dev"), "/shop", "/dev", "/items"),
    "REST, own domain with a base path, option": (rest(Http("GET", "/shop/items")), "/shop", "/shop", "/items"),
    "option with a slash at its end": (rest(Http("GET", "/shop/items")), "/shop/", "/shop", "/items"),
    "option that is empty": (rest(Http("GET", "/shop/items")), "", "", "/shop/items"),
    "option that is a slash": (rest(Http("GET", "/shop/items")), "/", "", "/shop/items"),
    "option with an accent": (rest(Http("GET", "/caf%C3%A9/items")), "/caf\xe9", "/caf\xe9", "/items"),
}
for name, make in FORMATS.items():
    MOUNTS[f"{name}, option"] = (make(Http("GET", "/shop/cart")), "/shop", "/shop", "/cart")
    MOUNTS[f"{name}, option, its root"] = (make(Http("GET", "/shop")), "/shop", "/shop", "")
    MOUNTS[f"{name}, option, a path that only begins like it"] = (
        make(Http("GET", "/shopping/cart")),
        "/shop",
        "",
        "/shopping/cart",
    )


@pytest.mark.parametrize(("event", "option", "root", "path"), MOUNTS.values(), ids=MOUNTS)
def test_the_application_is_where_the_event_or_else_the_option_says(
    event: Any, option: Any, root: str, path: str, adapter: str, probe: Any
) -> None:
    seen = probe(root_path=option).seen(event)
    if adapter == "wsgi":  # bytes told as ISO 8859-1
        root, path = root.encode().decode("latin-1"), path.encode().decode("latin-1")
    assert (seen.root_path, seen.path) == (root, path)


@pytest.mark.parametrize("wrong", ["shop", 5, b"/shop"])
def test_a_root_path_that_is_no_path_is_refused_at_once(wrong: Any, adapter: str) -> None:
    with pytest.raises(UsageError, match="root_path is where the application is mounted"):
        (asgi if adapter == "asgi" else wsgi)(lambda *args: None, root_path=wrong)  # type: ignore[operator]


@pytest.mark.parametrize("source", FORMATS)
def test_bytes_of_a_path_that_are_no_utf8_are_not_lost(source: str, adapter: str, probe: Any) -> None:
    seen = probe().seen(FORMATS[source](Http("GET", "/caf%e9/%E6%97%A5")))
    # PEP 3333 has bytes told as ISO 8859-1; ASGI has UTF-8, and raw_path for the rest, as in uvicorn.
    assert seen.path == ("/caf\xe9/\xe6\x97\xa5" if adapter == "wsgi" else "/caf\ufffd/日")
    assert seen.raw_path == "/caf%e9/%E6%97%A5"


def test_slashes_in_front_are_one_in_wsgi_as_in_waitress(adapter: str, probe: Any) -> None:
    seen = probe().seen(function_url(Http("GET", "//evil.example/x")))
    assert seen.path == ("/evil.example/x" if adapter == "wsgi" else "//evil.example/x")


# ---- headers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [None, "3", "9", "x"])
@pytest.mark.parametrize("source", FORMATS)
def test_a_body_has_the_length_that_it_has(source: str, told: str | None, probe: Any) -> None:
    headers = [] if told is None else [("Content-Length", told)]
    seen = probe().seen(FORMATS[source](Http("POST", "/", headers, b"name=\xff")))
    assert (seen.headers["content-length"], seen.body) == ("6", b"name=\xff")


@pytest.mark.parametrize("source", FORMATS)
def test_a_request_without_a_body_gets_no_length(source: str, probe: Any) -> None:
    assert "content-length" not in probe().seen(FORMATS[source](Http("GET", "/"))).headers


@pytest.mark.parametrize("source", FORMATS)
def test_what_was_chunked_is_no_more(source: str, probe: Any) -> None:
    seen = probe().seen(FORMATS[source](Http("POST", "/", [("Transfer-Encoding", "chunked")], b"abc")))
    assert "transfer-encoding" not in seen.headers
    assert seen.headers["content-length"] == "3"


def test_a_form_without_a_length_is_read_by_flask_behind_an_asgi_bridge() -> None:
    from asgiref.wsgi import WsgiToAsgi
    from flask import Flask, request

    from fastlambda import Config, Context
    from fastlambda._core import Invocation

    app = Flask(__name__)

    @app.post("/")
    def index() -> str:
        return request.form["name"]

    handler = asgi(WsgiToAsgi(app), lifespan="off")
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    try:
        for make in FORMATS.values():
            event = make(Http("POST", "/", form, b"name=ada"))
            assert handler(event, Context(Invocation.offline(b"{}", "id"), Config()))["body"] == "ada"
    finally:
        handler.close()


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("source", FORMATS)
def test_a_name_with_an_underscore_cannot_stand_for_one_with_a_dash(
    source: str, order: int, adapter: str, probe: Any
) -> None:
    headers = [("x-real-ip", "1.1.1.1"), ("x_real_ip", "6.6.6.6"), ("content_length", "7")][::order]
    seen = probe().seen(FORMATS[source](Http("GET", "/", headers)))
    assert seen.headers["x-real-ip"] == "1.1.1.1"
    assert "content-length" not in seen.headers
    assert ("x_real_ip" in seen.headers) == (adapter == "asgi")  # where they are two names


TEXTS = ["plain", "Zo\xeb 日本", "\xe9", "\xff\xfe", "caf\xe9 \x80", "\U0001f600"]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("source", FORMATS)
def test_a_header_comes_back_as_it_was(source: str, text: str, probe: Any) -> None:
    event = FORMATS[source](Http("GET", "/", [(COPIED, text)]))
    assert probe()(event).headers[COPIED] == text
    if source in STREAMING:
        assert probe(stream=True)(event).headers[COPIED] == text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("sent", "received"), [("caf\xe9", "caf\xe9"), ("caf\xc3\xa9", "caf\xe9"), ("\xff", "\xff")])
def test_a_header_is_utf8_or_else_latin1(stream: bool, sent: str, received: str, probe: Any) -> None:
    one = probe(lambda seen: (200, [("x-name", sent)], b""), stream=stream)
    assert one(rest(Http("GET", "/"))).headers["x-name"] == received


CLIENTS = {
    "203.0.113.7": ("203.0.113.7", 0),
    "203.0.113.7:41000": ("203.0.113.7", 41000),
    "198.51.100.1:1, 203.0.113.7:41000": ("203.0.113.7", 41000),
    "[2001:db8::7]:41000": ("2001:db8::7", 41000),
    "[2001:db8::7]": ("2001:db8::7", 0),
    "2001:db8::7": ("2001:db8::7", 0),
    "": (None, 0),
    "unknown": ("unknown", 0),
    "203.0.113.7:99999": ("203.0.113.7:99999", 0),
}


@pytest.mark.parametrize(("told", "client"), CLIENTS.items(), ids=CLIENTS)
@pytest.mark.parametrize("make", [alb, alb_multi, lattice_v1, lattice_v2], ids=lambda make: make.__name__)
def test_the_callers_port_is_no_part_of_the_address(make: Any, told: str, client: Any, probe: Any) -> None:
    event = make(Http("GET", "/"))
    lines = event.get("multiValueHeaders") or event["headers"]
    lines["x-forwarded-for"] = [told] if isinstance(lines["x-forwarded-for"], list) else told
    seen = probe().seen(event)
    assert (seen.client, seen.client_port) == client


@pytest.mark.parametrize(("told", "client"), list(CLIENTS.items())[:6:2])
@pytest.mark.parametrize("source", STREAMING)
def test_a_source_address_is_read_in_the_same_way(source: str, told: str, client: Any, probe: Any) -> None:
    event = FORMATS[source](Http("GET", "/"))
    context = event["requestContext"]
    (context["http"] if "http" in context else context["identity"])["sourceIp"] = told.rpartition(", ")[2]
    seen = probe().seen(event)
    assert (seen.client, seen.client_port) == client


SCHEMES = {"HTTP": "http", "https": "https", "Https": "https", "https, HTTP": "http", "": "https", "gopher": "https"}


@pytest.mark.parametrize(("told", "scheme"), SCHEMES.items(), ids=SCHEMES)
@pytest.mark.parametrize("source", FORMATS)
def test_a_scheme_is_http_or_https_in_lower_case(source: str, told: str, scheme: str, probe: Any) -> None:
    seen = probe().seen(FORMATS[source](Http("GET", "/", [("Host", "h"), ("X-Forwarded-Proto", told)])))
    assert (seen.scheme, seen.server) == (scheme, ("h", 80 if scheme == "http" else 443))


HOSTS = {
    "h": ("h", 443),
    "h:81": ("h", 81),
    "[::1]:81": ("[::1]", 81),
    "[::1]": ("[::1]", 443),
    "h:" + "9" * 5000: ("h:" + "9" * 5000, 443),
    "h:٣": ("h:٣", 443),
}


@pytest.mark.parametrize(("told", "server"), HOSTS.items(), ids=range(len(HOSTS)))
def test_a_host_is_taken_apart_where_it_can_be(told: str, server: Any, probe: Any) -> None:
    assert probe().seen(function_url(Http("GET", "/", [("Host", told)]))).server == server


# ---- events that are no request, and requests that no server lets through -----------------------------------------

REQUEST_1 = {**rest(Http("GET", "/x")), "type": "REQUEST", "methodArn": "arn:aws:execute-api:us-east-1:1:a/prod/GET/x"}
AUTHORIZERS = {
    "REST": REQUEST_1,
    "HTTP API 1.0": {**REQUEST_1, "version": "1.0", "identitySource": "user"},
    "HTTP API 2.0": {
        **function_url(Http("GET", "/x")),
        "type": "REQUEST",
        "routeArn": "arn:aws:execute-api:us-east-1:1:a/prod/GET/x",
        "identitySource": ["user"],
    },
    "token": {
        "type": "TOKEN",
        "authorizationToken": "allow",
        "methodArn": "arn:aws:execute-api:us-east-1:1:a/prod/GET/x",
    },
    "WebSocket": {
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:us-east-1:1:a/prod/$connect",
        "headers": {"Host": "h"},
        "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "c", "stage": "prod"},
    },
    "AppSync": {"authorizationToken": "t", "requestContext": {"apiId": "a", "queryString": "query { x }"}},
}
OTHERS = {
    "WebSocket": {
        "headers": {},
        "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "c", "stage": "prod"},
    },
    "Bedrock agent": {"messageVersion": "1.0", "httpMethod": "GET", "apiPath": "/x", "actionGroup": "a"},
    "CloudFront": {"Records": [{"cf": {"config": {}, "request": {"uri": "/", "method": "GET", "headers": {}}}}]},
    "S3 Object Lambda": {"getObjectContext": {}, "userRequest": {"url": "https://h/x", "headers": {}}},
    "IoT authorizer": {"protocolData": {"http": {"headers": {}, "queryString": "?a=b"}}, "token": "t"},
}


@pytest.mark.parametrize(
    "event", [*AUTHORIZERS.values(), *OTHERS.values()], ids=[*AUTHORIZERS, *map("no authorizer: {}".format, OTHERS)]
)
def test_an_event_that_is_no_request_goes_to_the_fallback(event: Any, adapter: str) -> None:
    app = Probe(adapter, fallback=lambda event, context: {"fell": "back"})
    try:
        assert app.handler(event, None) == {"fell": "back"}
        assert app.requests == []
    finally:
        app.close()


HALF = "\ud800"
QUERY_FIELDS = ["queryStringParameters", "multiValueQueryStringParameters", "query_string_parameters"]
NULLS: dict[str, tuple[dict[str, Any], str]] = {
    "null": ({"a": None}, "a="),
    "null and text": ({"a": None, "b": "1"}, "a=&b=1"),
    "a list of nulls": ({"a": [None, "1"]}, "a=&a=1"),
    "an empty list": ({"a": [], "b": ["1"]}, "b=1"),
    "numbers": ({"a": 5, "b": 1.5, "c": True}, "a=5&b=1.5&c=true"),
}


@pytest.mark.parametrize(("values", "query"), NULLS.values(), ids=NULLS)
@pytest.mark.parametrize("source", ["rest", "http-api-1", "alb", "alb-multi", "lattice-v2", "lattice-v1"])
@pytest.mark.parametrize("field", QUERY_FIELDS)
def test_a_query_without_values_is_one_all_the_same(
    field: str, source: str, values: Any, query: str, probe: Any
) -> None:
    event = FORMATS[source](Http("GET", "/"))
    if field not in event:
        return  # not of this format
    for name in QUERY_FIELDS:
        event.pop(name, None)
    assert probe().seen({**event, field: values}).query == query


@pytest.mark.parametrize("source", FORMATS)
def test_a_header_without_a_value_is_skipped_and_a_number_is_its_text(source: str, probe: Any) -> None:
    event = FORMATS[source](Http("GET", "/"))
    field = "multiValueHeaders" if event.get("multiValueHeaders") is not None else "headers"
    lists = field == "multiValueHeaders" or source == "lattice-v2"
    extra = {"x-null": None, "x-number": 5, "x-many": [None, "1", 2]} if lists else {"x-null": None, "x-number": 5}
    seen = probe().seen({**event, field: {**event[field], **extra}})
    assert "x-null" not in seen.headers
    assert seen.headers["x-number"] == "5"
    assert seen.headers.get("x-many") == ("1,2" if lists else None)


def changed(event: dict[str, Any], path: str, value: Any) -> dict[str, Any] | None:
    """The event with another value in a place that it has; None: it has not."""
    copy = json.loads(json.dumps(event))
    *outer, last = path.split("/")
    at = copy
    for name in outer:
        at = at.get(name) if isinstance(at, dict) else None
    if not isinstance(at, dict) or (last not in at and outer[-1:] not in (["headers"], ["multiValueHeaders"])):
        return None
    at[last] = value
    return copy


METHODS = ("httpMethod", "method", "requestContext/http/method")
PATHS = ("path", "rawPath", "raw_path")
QUERIES = ("queryStringParameters", "rawQueryString", "multiValueQueryStringParameters", "query_string_parameters")
BAD: dict[str, tuple[tuple[str, ...], Any, str]] = {
    "method null": (METHODS, None, "no method of HTTP is None"),
    "method a number": (METHODS, 5, "no method of HTTP is int"),
    "method with a line break": (METHODS, "GET\r\nx: y", "no method of HTTP"),
    "method empty": (METHODS, "", "no method of HTTP is ''"),
    "path an object": (PATHS, {}, "ath is dict, not text"),
    "path with half a pair": (PATHS, "/" + HALF, "in the path or in the query"),
    "query with half a pair": (QUERIES[1:2], HALF, "half of a surrogate pair"),
    "query value with half a pair": (QUERIES[:1] + QUERIES[2:], {"a": HALF}, "half of a surrogate pair"),
    "query name with half a pair": (QUERIES[:1] + QUERIES[2:], {HALF: "a"}, "half of a surrogate pair"),
    "query value an object": (QUERIES[:1] + QUERIES[2:], {"a": {"b": 1}}, "is dict, not text"),
    "query a list": (QUERIES[:1] + QUERIES[2:], ["a"], "is list, not an object"),
    "headers a list": (("headers", "multiValueHeaders"), ["a"], "is list, not an object"),
    "header value an object": (("headers/x", "multiValueHeaders/x"), {"a": 1}, "the header x is dict, not text"),
    "header value with half a pair": (("headers/x", "multiValueHeaders/x"), HALF, "half of a surrogate pair in it"),
    "header value with a line break": (("headers/x", "multiValueHeaders/x"), "a\r\nb: c", "a line break or NUL in it"),
    "header name with a line break": (("headers/x\r\ny", "multiValueHeaders/x\r\ny"), "a", "no header's name is"),
    "header name empty": (("headers/", "multiValueHeaders/"), "a", "no header's name is ''"),
    "header name with a blank": (("headers/a b", "multiValueHeaders/a b"), "a", "no header's name is 'a b'"),
    "header name of another alphabet": (("headers/日", "multiValueHeaders/日"), "a", "no header's name is"),
    "body an object": (("body",), {"a": 1}, "the body is dict, not text"),
    "body with half a pair": (("body",), "x" + HALF, "the body has half of a surrogate pair"),
}


@pytest.mark.parametrize(("paths", "value", "told"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("source", FORMATS)
def test_what_no_server_lets_through_is_a_400_and_told_in_the_log(
    source: str, paths: tuple[str, ...], value: Any, told: str, probe: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for stream in (False, True):
        one = probe(stream=stream)
        event = FORMATS[source](Http("POST", "/", [("x-plain", "1")], b"text"))
        for name in QUERIES:
            if event.get(name, "") is None:
                event[name] = {}
        events = [e for path in paths if (e := changed(event, path, value)) is not None]
        if "multiValueHeaders" in event and any(p.startswith("multiValueHeaders") for p in paths):
            events = events[1:] or events  # where there are both, these are read
        for bad in events[-1:]:
            outcome = one(bad)
            assert (outcome.status, outcome.body) == (400, b"Bad Request")
            assert told in capsys.readouterr().err
        assert one.requests == []
        assert events or (source in ("lattice-v1", "function-url") and paths[0] in QUERIES) or paths == QUERIES[1:2]


@pytest.mark.parametrize("source", FORMATS)
def test_a_body_that_is_not_base64_is_a_400(source: str, probe: Any, capsys: pytest.CaptureFixture[str]) -> None:
    event = FORMATS[source](Http("POST", "/", [], b"\xff"))
    flag = "is_base64_encoded" if source == "lattice-v1" else "isBase64Encoded"
    assert probe()({**event, "body": "x"}).status == 400
    assert f"the body is not base64, as {flag} says" in capsys.readouterr().err
    assert probe()({**event, "body": "日本"}).status == 400


# ---- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coding", "is_base64"),
    [
        (["identity"], False),
        (["Identity"], False),
        (["identity, identity"], False),
        ([""], False),
        (["gzip"], True),
        (["identity, gzip"], True),
        (["gzip", "identity"], True),
    ],
    ids=str,
)
@pytest.mark.parametrize("source", FORMATS)
def test_only_what_is_encoded_leaves_as_base64(source: str, coding: list[str], is_base64: bool, probe: Any) -> None:
    lines = [("content-type", "text/plain"), *(("content-encoding", c) for c in coding)]
    one = probe(lambda seen: (200, lines, b"abc"))
    answer = one.handler(FORMATS[source](Http("GET", "/")), _context())
    assert answer["isBase64Encoded"] is is_base64


def _context() -> Any:
    from fastlambda import Config, Context
    from fastlambda._core import Invocation

    return Context(Invocation.offline(b"{}", "id"), Config())


BAD_ANSWERS = {
    "value with a line break": (200, [("x-a", "b\r\nset-cookie: c=d")]),
    "value with a line feed": (200, [("x-a", "b\nc")]),
    "value with a NUL": (200, [("x-a", "b\0")]),
    "name with a line break": (200, [("x-a\r\nb", "c")]),
    "name with a blank": (200, [("x a", "c")]),
    "name with a colon": (200, [("x:a", "c")]),
    "name empty": (200, [("", "c")]),
    "cookie with a line break": (200, [("set-cookie", "a=b\r\nx: y")]),
    "status too small": (99, []),
    "status too large": (600, []),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "lines"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
@pytest.mark.parametrize("source", FORMATS)
def test_a_response_that_http_does_not_have_is_a_500(
    source: str, status: int, lines: Any, stream: bool, probe: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    one = probe(lambda seen: (status, lines, b"abc"), stream=stream)
    outcome = one(FORMATS[source](Http("GET", "/")))
    assert (outcome.status, outcome.body) == (500, b"Internal Server Error")
    assert "[ERROR] " in capsys.readouterr().out


WSGI_ANSWERS: dict[str, tuple[Any, Any]] = {
    "value a number": ("200 OK", [("X-N", 5)]),
    "value bytes": ("200 OK", [("X-N", b"5")]),
    "value None": ("200 OK", [("X-N", None)]),
    "name bytes": ("200 OK", [(b"X-N", "5")]),
    "value with half a pair": ("200 OK", [("X-N", HALF)]),
    "not pairs": ("200 OK", ["X-N"]),
    "None": ("200 OK", None),
    "status a number": (200, []),
    "status bytes": (b"200 OK", []),
    "status with four digits": ("2000 OK", []),
    "status without digits": ("OK", []),
    "status empty": ("", []),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "lines"), WSGI_ANSWERS.values(), ids=WSGI_ANSWERS)
@pytest.mark.parametrize("source", FORMATS)
def test_what_waitress_refuses_is_a_500(source: str, status: Any, lines: Any, stream: bool) -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response(status, lines)
        return [b"abc"]

    one = Probe("wsgi", stream=stream)
    one.handler.app = app
    assert one(FORMATS[source](Http("GET", "/"))).status == 500


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("part", ["name", "value", "body"])
@pytest.mark.parametrize("wrong", [5, "text", None], ids=str)
@pytest.mark.parametrize("source", FORMATS)
def test_what_is_no_bytes_in_asgi_is_a_500(source: str, wrong: Any, part: str, stream: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        name, value = (wrong if part == "name" else b"x"), (wrong if part == "value" else b"y")
        await send({"type": "http.response.start", "status": 200, "headers": [(name, value)]})
        await send({"type": "http.response.body", "body": wrong if part == "body" else b"abc"})

    one = Probe("asgi", stream=stream)
    one.handler.app = app
    event = FORMATS[source](Http("GET", "/"))
    try:
        if stream and part == "body" and source in STREAMING:  # its head is on its way
            with pytest.raises(TypeError, match="an ASGI application sends bytes"):
                one(event)
        else:
            assert one(event).status == 500
    finally:
        one.close()
