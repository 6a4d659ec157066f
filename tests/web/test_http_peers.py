"""What other adapters make of the same events: where they and we differ is listed here, and nothing else differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from http_events import FORMATS, Http, buffered
from probe import Probe, Seen

from fastlambda import Config, Context
from fastlambda._core import Invocation

HOST = ("Host", "h")
REQUESTS = {
    "plain": Http("GET", "/items", [HOST, ("User-Agent", "u")]),
    "query": Http("GET", "/echo?a=1&b=x%20y&c=%C3%A9&empty=&a=2", [HOST]),
    "escaped query": Http("GET", "/echo?d=a%2Bb&e=a+b&f=%26%3D", [HOST]),
    "escaped path": Http("GET", "/caf%C3%A9%20au%2Blait", [HOST]),
    "text": Http("POST", "/", [HOST, ("Content-Type", "text/plain"), ("Content-Length", "6")], "h\xe9llo".encode()),
    "binary": Http("PUT", "/", [HOST, ("Content-Type", "a/b"), ("Content-Length", "3")], b"\0\xff\x80"),
    "cookies": Http("GET", "/", [HOST, ("Cookie", "a=1; b=two")]),
    "a header several times": Http("GET", "/", [HOST, ("x-many", "1"), ("x-many", "2")]),
}
SOURCES = ["function-url", "rest", "http-api-1", "alb", "alb-multi"]


def mangum(probe: Probe) -> Callable[[Any, Any], Any]:
    from mangum import Mangum

    return Mangum(probe._asgi, lifespan="off")


def apig_wsgi(probe: Probe) -> Callable[[Any, Any], Any]:
    from apig_wsgi import make_lambda_handler

    return make_lambda_handler(probe._wsgi, binary_support=True)  # type: ignore[no-any-return]


def serverless_wsgi(probe: Probe) -> Callable[[Any, Any], Any]:
    from serverless_wsgi import handle_request

    return lambda event, context: handle_request(probe._wsgi, event, context)


PEERS = {"mangum": ("asgi", mangum), "apig-wsgi": ("wsgi", apig_wsgi), "serverless-wsgi": ("wsgi", serverless_wsgi)}
# What differs, by adapter and format; method, path, query and body are nowhere among it.
DIFFERENCES: dict[tuple[str, str], set[str]] = {
    **{("mangum", source): {"client"} for source in ("alb", "alb-multi")},  # all of x-forwarded-for
    ("apig-wsgi", "function-url"): {"headers"},  # an empty cookie
    **{("apig-wsgi", source): {"client"} for source in ("rest", "http-api-1", "alb-multi")},  # 127.0.0.1; the first hop
    ("apig-wsgi", "alb"): {"client", "answer's cookies"},  # the last cookie
    **{("serverless-wsgi", source): {"headers"} for source in SOURCES},  # an empty content-type; the last value
    **{("serverless-wsgi", source): {"headers", "client"} for source in ("alb", "alb-multi")},  # no address
}


def told(seen: Seen) -> dict[str, Any]:
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(seen.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    headers = {k: v.replace(", ", ",") for k, v in seen.headers.items()}
    return {
        "method": seen.method,
        "path": seen.root_path + seen.path,
        "query": query,
        "headers": headers,
        "body": seen.body,
        "client": seen.client,
    }


def answer(seen: Seen) -> tuple[int, list[tuple[str, str]], bytes]:
    return 201, [("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2"), ("x-a", "b")], b"done"


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_shows_the_application_the_same(peer: str, source: str) -> None:
    adapter, make = PEERS[peer]
    found: dict[str, Any] = {}
    for http in REQUESTS.values():
        ours, theirs = Probe(adapter, answer), Probe(adapter, answer)
        event = FORMATS[source](http)
        mine = ours(event)
        try:
            got = make(theirs)(event, Context(Invocation.offline(b"{}", "id"), Config()))
            other = buffered({k: v for k, v in {"isBase64Encoded": False, **got}.items() if v is not None})
        except Exception as exc:
            found[type(exc).__name__] = str(exc)
            continue
        finally:
            ours.close()
            theirs.close()
        here, there = told(ours.requests[0]), told(theirs.requests[0])
        found |= {key: (here[key], there[key]) for key in here if here[key] != there[key]}
        for key in ("status", "body", "cookies"):
            if getattr(mine, key) != getattr(other, key):
                found[f"answer's {key}"] = (getattr(mine, key), getattr(other, key))
    assert set(found) == DIFFERENCES.get((peer, source), set()), found
