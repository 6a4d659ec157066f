"""An application that keeps what it was shown and answers with it, behind either adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from http_events import Outcome, buffered, streamed

from fastlambda import Config, Context
from fastlambda._core import Invocation
from fastlambda.http import asgi, wsgi

ADAPTERS = ["asgi", "wsgi"]
COPIED = "x-copied"


@dataclass
class Seen:
    """One request as the application was shown it."""

    method: str
    root_path: str
    path: str  # below the root
    raw_path: str
    query: str
    headers: dict[str, str]
    scheme: str
    client: str | None
    client_port: int
    server: tuple[str, int]
    body: bytes


class Probe:
    """The application, its handler, and the requests that reached it.

    Args:
        adapter: "asgi" or "wsgi".
        answer: (status, headers, body) from what was seen; headers are text as WSGI has it.
        options: of asgi() or wsgi().
    """

    def __init__(self, adapter: str, answer: Callable[[Seen], Any] | None = None, **options: Any) -> None:
        self.requests: list[Seen] = []
        self.answer = answer or copy
        self.stream = options.get("stream", False)
        self.handler: Any = (
            asgi(self._asgi, lifespan="off", **options) if adapter == "asgi" else wsgi(self._wsgi, **options)
        )
        self.adapter = adapter

    def __call__(self, event: Any) -> Outcome:
        """What the caller gets."""
        inv = Invocation.offline(b"{}", "id-1")
        result = self.handler(event, Context(inv, Config()))
        if result is None and inv.stream is not None:
            return streamed(inv.stream._collected())
        return buffered(result)

    def seen(self, event: Any) -> Seen:
        """What the application was shown; it must have been shown something."""
        n = len(self.requests)
        outcome = self(event)
        assert len(self.requests) == n + 1, outcome
        return self.requests[-1]

    def close(self) -> None:
        if self.adapter == "asgi":
            self.handler.close()

    async def _asgi(self, scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        root, path = scope["root_path"], scope["path"]
        assert path.startswith(root)
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            name, value = name.decode("ascii"), value.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        client, client_port = scope["client"] or (None, 0)
        seen = Seen(
            scope["method"],
            root,
            path[len(root) :],
            (scope["raw_path"] or b"").decode("ascii"),  # None: not every adapter has it
            scope["query_string"].decode("ascii"),
            headers,
            scope["scheme"],
            client,
            client_port,
            scope["server"],
            body,
        )
        self.requests.append(seen)
        status, lines, answer = self.answer(seen)
        lines = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in lines]
        await send({"type": "http.response.start", "status": status, "headers": lines})
        await send({"type": "http.response.body", "body": answer})

    def _wsgi(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        names = {k[5:].replace("_", "-").lower(): v for k, v in environ.items() if k.startswith("HTTP_")}
        if "CONTENT_TYPE" in environ:
            names["content-type"] = environ["CONTENT_TYPE"]
        if environ.get("CONTENT_LENGTH", "0") not in ("", "0"):
            names["content-length"] = environ["CONTENT_LENGTH"]
        seen = Seen(
            environ["REQUEST_METHOD"],
            environ["SCRIPT_NAME"],
            environ["PATH_INFO"],
            environ.get("REQUEST_URI", "").partition("?")[0],
            environ["QUERY_STRING"],
            names,
            environ["wsgi.url_scheme"],
            environ["REMOTE_ADDR"] or None,
            int(environ.get("REMOTE_PORT", 0)),
            (environ["SERVER_NAME"], int(environ["SERVER_PORT"] or 0)),
            environ["wsgi.input"].read(),
        )
        self.requests.append(seen)
        status, lines, answer = self.answer(seen)
        start_response(f"{status} Phrase", lines)
        return [answer]


def copy(seen: Seen) -> tuple[int, list[tuple[str, str]], bytes]:
    """The answer of an application that shows the caller his own header and body."""
    lines = [("content-type", "text/plain")]
    if COPIED in seen.headers:
        lines.append((COPIED, seen.headers[COPIED]))
    return 200, lines, seen.body
