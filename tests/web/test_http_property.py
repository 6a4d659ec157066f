"""Arbitrary events and arbitrary requests: never a function error or a line of a header that nobody sent, and what an
application is shown is what uvicorn and waitress show it.
"""

from __future__ import annotations

import contextlib
import copy
import json
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from http_events import FORMATS, Http, function_url
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from probe import ADAPTERS, COPIED, Probe, Seen
from support import PATIENCE

SETTINGS = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

# ---- arbitrary events ---------------------------------------------------------------------------------------------

# Text with all that JSON can carry, what matters to HTTP more often.
TEXT = st.one_of(
    st.text(max_size=12),
    st.text(st.sampled_from('a/?&=%#;,: \r\n\0\t"\\\x7f\xe9日\ud800\udfff_-.[]'), max_size=12),
    st.sampled_from(
        ["identity", "chunked", "99", "-1", "HTTP/1.1", "/prod", "a\r\nx-injected: 1", "\ud83d", "=", "eA=="]
    ),
)
NUMBERS = st.one_of(st.integers(), st.floats(), st.just(10**400))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
KNOWN = [
    COPIED,
    "Host",
    "content-length",
    "x_copied",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "Cookie",
    "Content-Encoding",
]
NAMES = st.one_of(st.sampled_from(KNOWN), st.text(st.sampled_from(TOKEN), min_size=1, max_size=5), TEXT)
LINES = st.lists(st.tuples(NAMES, TEXT), max_size=4)
TARGETS = st.one_of(TEXT, st.text(st.sampled_from("/a.%41?&=+;é日"), max_size=10).map("/{}".format))
REQUESTS = st.builds(
    Http,
    st.sampled_from(["GET", "POST", "HEAD", "OPTIONS", "brew", "", "G T", "\ud800"]),
    TARGETS,
    LINES,
    st.binary(max_size=20),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value inside of a JSON document."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(inner, (*path, key))


@st.composite
def events(draw: Any) -> dict[str, Any]:
    """An event of one of the formats, up to four of its fields changed, dropped or added."""
    make = FORMATS[draw(st.sampled_from(sorted(FORMATS)))]
    http = draw(REQUESTS)
    event: dict[str, Any] = make(http)
    if draw(st.booleans()) and make.__name__ in ("function_url", "rest", "http_api_1"):
        event = make(http, draw(st.sampled_from(["prod", "$default", "a%2Fb", "é"])))
    event = copy.deepcopy(event)
    for _ in range(draw(st.integers(0, 4))):
        path = draw(st.sampled_from(sorted(places(event), key=repr)))
        at: Any = event
        for key in path[:-1]:
            at = at[key]
        kind = draw(st.sampled_from(["change", "change", "drop", "add"]))
        if kind == "drop":
            del at[path[-1]]
        elif kind == "add" and isinstance(at, dict):
            at[draw(NAMES)] = draw(JSON)
        else:
            at[path[-1]] = draw(JSON)
        if not event:
            break
    return event


def shown(seen: Seen) -> tuple[int, list[tuple[str, str]], bytes]:
    """The answer of an application that shows all it was given, names too, as foreign text in headers."""
    lines = [(k, v) for k, v in seen.headers.items() if k != "content-length"]
    return 200, [("content-type", "text/plain"), ("x-path", seen.path), ("set-cookie", seen.query), *lines], seen.body


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_no_event_ends_in_a_function_error_or_in_a_header_that_nobody_sent(adapter: str, stream: bool) -> None:
    fell_back: list[Any] = []

    def fallback(event: Any, context: Any) -> Any:
        fell_back.append(event)
        return {"statusCode": 299, "body": "", "isBase64Encoded": False}

    def answer(seen: Seen) -> Any:
        if adapter == "asgi":  # an ASGI application has bytes to send
            seen.path = seen.path.encode("utf-8", "replace").decode("latin-1")
        return shown(seen)

    probe = Probe(adapter, answer, stream=stream, fallback=fallback)
    statuses = set()

    @SETTINGS
    @example(function_url(Http("GET", "/")))
    @example({"Records": []})
    @example(function_url(Http("\n", "/")))
    @example(function_url(Http("GET", "/a%0d%0ax-injected:%201")))
    @given(events())
    def check(event: dict[str, Any]) -> None:
        before = copy.deepcopy(event)
        outcome = probe(event)
        assert json.dumps(event) == json.dumps(before), "an event belongs to its sender"
        statuses.add(outcome.status)
        assert outcome.status in (200, 299, 400, 500)
        for name, value in [*outcome.headers.items(), *(("set-cookie", c) for c in outcome.cookies)]:
            assert name and set(name) <= set(TOKEN)
            assert not {"\r", "\n", "\0"} & set(value)
            value.encode()
        if outcome.status == 200:
            given_names = set(probe.requests[-1].headers) | {"content-type", "x-path"}
            assert set(outcome.headers) <= given_names
        outcome.body.decode("utf-8", "surrogateescape")

    try:
        check()
        assert statuses == {200, 299, 400, 500}, "the examples alone come to each"
    finally:
        probe.close()


# ---- the same request on the wire ---------------------------------------------------------------------------------

PCHAR = "abcXYZ019-._~!$&'()*+,;=:@"
ESCAPES = st.sampled_from(
    ["%20", "%2F", "%3f", "%25", "%E6%97%A5", "%e9", "%C3%A9", "%00", "%zz", "%", "%4", "%23", "%0a"]
)
PIECES = st.one_of(
    st.text(st.sampled_from(PCHAR), max_size=6), ESCAPES, st.sampled_from(['"', "<>", "|", "^`", "{}", "[]", "\\"])
)
PATHS = st.lists(st.one_of(PIECES, st.just("/"), st.just("/../"), st.just("/./")), max_size=6).map(
    lambda p: "/" + "".join(p)
)
QUERIES = st.lists(st.one_of(PIECES, st.sampled_from(["&", "=", "?", "/", "+"])), max_size=8).map("".join)
VALUES = st.text(st.sampled_from("abc 019;,=\"'()%\xe9日"), min_size=1, max_size=10).map(str.strip)
SENT = st.lists(st.tuples(st.sampled_from(["X-One", "X-Two", "X_One", "User-Agent", "Accept"]), VALUES), max_size=4)
# Where the gateway takes the query apart, its spelling is gone; where it keeps one value of a name, the others are.
AS_SENT = {"function-url", "lattice-v1"}
DECODED = {"rest", "http-api-1", "lattice-v2"}


class Server:
    """uvicorn or waitress in a thread, serving an application that keeps what it is shown."""

    def __init__(self, kind: str) -> None:
        self.probe = Probe("asgi" if kind == "uvicorn" else "wsgi", lambda seen: (200, [("content-length", "0")], b""))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        if kind == "uvicorn":
            import uvicorn

            server = uvicorn.Server(
                uvicorn.Config(
                    self.probe._asgi, interface="asgi3", log_level="critical", lifespan="off", ws="none", http="h11"
                )
            )
            self.thread = threading.Thread(target=server.run, args=([self.listener],))
            self.stop = lambda: setattr(server, "should_exit", True)
        else:
            import waitress

            server = waitress.create_server(self._waitress, sockets=[self.listener], threads=1, map={})
            self.thread = threading.Thread(target=server.run)
            self.stop = server.close
        self.thread.start()

    def _waitress(self, environ: Any, start_response: Any) -> Any:
        environ.setdefault("CONTENT_LENGTH", "0")
        return self.probe._wsgi(environ, start_response)

    def ask(self, http: Http) -> Seen | None:
        """What the application was shown; None: the server did not let the request through."""
        lines = [f"{http.method} {http.target} HTTP/1.1", *(f"{k}: {v}" for k, v in http.headers)]
        n = len(self.probe.requests)
        got = b""
        with socket.create_connection(self.address, PATIENCE) as connection:
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + http.body)
            while b"\r\n\r\n" not in got:
                more = connection.recv(65536)
                assert more, got
                got += more
        if got.startswith(b"HTTP/1.1 400 "):
            assert len(self.probe.requests) == n
            return None
        assert got.startswith(b"HTTP/1.1 200 "), got
        assert len(self.probe.requests) == n + 1
        return self.probe.requests[-1]

    def close(self) -> None:
        self.stop()
        self.thread.join(PATIENCE)
        self.listener.close()
        self.probe.close()


@pytest.mark.parametrize(("kind", "adapter"), [("uvicorn", "asgi"), ("waitress", "wsgi")])
def test_an_application_is_shown_what_the_server_on_a_socket_shows(kind: str, adapter: str) -> None:
    n_compared = 0
    with contextlib.closing(Server(kind)) as server, contextlib.closing(Probe(adapter)) as probe:

        @SETTINGS
        @given(st.sampled_from(["GET", "POST"]), PATHS, st.one_of(st.just(""), QUERIES), SENT, st.binary(max_size=10))
        def check(method: str, path: str, query: str, sent: list[tuple[str, str]], body: bytes) -> None:
            nonlocal n_compared
            body = body if method == "POST" else b""
            length = [("Content-Length", str(len(body)))] if body else []
            http = Http(method, path + ("?" + query if query else ""), [("Host", "h"), *sent, *length], body)
            wanted = server.ask(http)
            if wanted is None:
                return
            for source, make in FORMATS.items():
                seen = probe.seen(make(http))
                assert (seen.method, seen.path, seen.body) == (method, wanted.path, body), source
                assert seen.raw_path == wanted.raw_path
                if source in AS_SENT:
                    assert seen.query == wanted.query
                elif source in DECODED:
                    assert grouped(seen.query) == grouped(wanted.query)
                else:  # values of a name are one after the other, or only the last is there
                    got, all_of_them = grouped(seen.query), grouped(wanted.query)
                    assert set(got) == set(all_of_them)
                    for name, values in got.items():
                        assert not Counter(values) - Counter(all_of_them[name])
                        assert source == "alb" or len(values) == len(all_of_them[name])
                names = {"x-forwarded-for"} if source.startswith(("alb", "lattice")) else set()
                assert set(seen.headers) - names == set(wanted.headers)
                for name, value in wanted.headers.items():
                    assert seen.headers[name].replace(", ", ",") == value.replace(", ", ","), source
            n_compared += 1

        check()
    assert n_compared > 100, "most requests have come through"


def grouped(query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return found
