"""Who may speak to the local endpoint, and what a peer may cost."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest
from support import PATIENCE

from fastlambda.local import admission, endpoint
from fastlambda.local.admission import MAX_CONNECTIONS, is_ours
from fastlambda.local.endpoint import RuntimeApi
from fastlambda.local.machine import State

LOOPBACK, IPV6, LAN, ALL = ("127.0.0.1", 9001), ("::1", 9001), ("192.0.2.7", 9001), ("0.0.0.0", 9001)
OURS = [
    (LOOPBACK, "127.0.0.1:9001"),
    (LOOPBACK, "localhost:9001"),
    (LOOPBACK, "LocalHost:9001"),
    (LOOPBACK, "127.8.8.8:9001"),
    (LOOPBACK, "[::1]:9001"),
    (("127.0.0.1", 80), "127.0.0.1"),
    (IPV6, "[::1]:9001"),
    (IPV6, "localhost:9001"),
    (LAN, "192.0.2.7:9001"),
    (ALL, "192.0.2.7:9001"),
    (ALL, "localhost:8000"),
    (ALL, "10.0.0.1"),
    (LOOPBACK, "host.docker.internal:7"),
]
NOT_OURS = [
    (LOOPBACK, "evil.example:9001"),
    (LOOPBACK, "127.0.0.1:9002"),
    (LOOPBACK, "127.0.0.1"),
    (LOOPBACK, "localhost.evil.example:9001"),
    (LOOPBACK, "127.0.0.1.evil.example:9001"),
    (LOOPBACK, "127.0.0.1@evil.example:9001"),
    (LOOPBACK, "evil.example"),
    (LOOPBACK, "10.0.0.1:9001"),
    (LOOPBACK, "0x7f.1:9001"),
    (LOOPBACK, "2130706433:9001"),
    (LOOPBACK, "[::ffff:10.0.0.1]:9001"),
    (LOOPBACK, "localhost.:9001"),
    (LOOPBACK, "localhost:9001x"),
    (LOOPBACK, "localhost:٩٠٠١"),
    (LOOPBACK, ""),
    (LOOPBACK, ":9001"),
    (LOOPBACK, "[::1:9001"),
    (LAN, "192.0.2.8:9001"),
    (LAN, "localhost:9001"),
    (ALL, "evil.example:9001"),
]


@pytest.mark.parametrize(
    ("bound", "host", "expected"), [(*row, True) for row in OURS] + [(*row, False) for row in NOT_OURS]
)
def test_only_what_leads_nowhere_else_is_ours(bound: tuple[str, int], host: str, expected: bool) -> None:
    assert is_ours(host, bound, frozenset({"host.docker.internal"})) is expected


def say(api: RuntimeApi, head: str, body: bytes = b"") -> socket.socket:
    host, _, port = api.address.rpartition(":")
    connection = socket.create_connection((host, int(port)), PATIENCE)
    connection.sendall(head.replace("ADDRESS", api.address).replace("\n", "\r\n").encode() + body)
    return connection


def hear(connection: socket.socket) -> bytes:
    data = b""
    with connection, contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65536):
            data += more
    return data


NEXT = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\n"
PING = "GET /2018-06-01/ping HTTP/1.1\nHost: ADDRESS\n"
WEB_PAGES = {
    "a name that was pointed here": "Host: evil.example\n\n",
    "that with our port": "Host: evil.example:9001\n\n",
    "an origin": "Host: ADDRESS\nOrigin: http://evil.example\n\n",
    "an opaque origin": "Host: ADDRESS\nOrigin: null\n\n",
    "our own origin": "Host: ADDRESS\nOrigin: http://ADDRESS\n\n",
    "an image": "Host: ADDRESS\nSec-Fetch-Site: cross-site\nSec-Fetch-Mode: no-cors\n\n",
    "two hosts": "Host: ADDRESS\nHost: evil.example\n\n",
    "no host": "\n",
}


@pytest.mark.parametrize("rest", WEB_PAGES.values(), ids=WEB_PAGES)
def test_a_web_page_gets_no_event_and_changes_nothing(rest: str) -> None:
    with RuntimeApi() as api:
        pending = api.submit(b'"secret"')
        answer = hear(say(api, NEXT + rest))
        assert answer.startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 ")), answer
        assert b"secret" not in answer and b"Access-Control" not in answer
        assert api.state is State.STARTED
        # Neither with a result, nor with an init error.
        for path in (f"invocation/{pending.request_id}/response", "init/error"):
            post = f"POST /2018-06-01/runtime/{path} HTTP/1.1\nContent-Length: 2\n{rest}"
            assert hear(say(api, post, b"{}")).startswith((b"HTTP/1.1 403 ", b"HTTP/1.1 400 "))
        assert api.state is State.STARTED and pending.result is None
        own = say(api, f"{NEXT}Host: ADDRESS\n\n")
        assert own.recv(65536).startswith(b"HTTP/1.1 200 ")
        own.close()


def test_a_name_that_was_given_is_answered() -> None:
    with RuntimeApi(hosts=["Host.Docker.Internal"]) as api:
        request = "GET /2018-06-01/ping HTTP/1.1\nHost: host.docker.internal:{}\nConnection: close\n\n"
        assert hear(say(api, request.format(9001))).startswith(b"HTTP/1.1 200 ")
        assert hear(say(api, "GET /2018-06-01/ping HTTP/1.1\nHost: other\n\n")).startswith(b"HTTP/1.1 403 ")


def n_threads() -> int:
    return sum(thread.name == "runtime-api-peer" for thread in threading.enumerate())


@pytest.mark.parametrize("head", ["", NEXT + "Host: ADDRESS\n", "POST / HTTP/1.1\nHost: ADDRESS\nX: "])
def test_half_open_heads_cost_a_bounded_number_of_threads_and_stop_nobody(head: str) -> None:
    before = n_threads()
    with RuntimeApi() as api, contextlib.ExitStack() as held:
        for _ in range(600):
            held.enter_context(contextlib.closing(say(api, head)))
        pending = api.submit(b"{}")
        own = held.enter_context(contextlib.closing(say(api, f"{NEXT}Host: ADDRESS\n\n")))
        assert own.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert pending.handed_out_ns
        # One that gives way may be on its last line.
        assert n_threads() - before <= MAX_CONNECTIONS + 2


def test_connections_that_have_asked_for_something_are_not_thrown_out() -> None:
    with RuntimeApi() as api, contextlib.ExitStack() as held:
        for _ in range(MAX_CONNECTIONS):
            one = held.enter_context(contextlib.closing(say(api, f"{PING}\n")))
            assert one.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert hear(say(api, "")) == b"", "one too many is closed"
        one.sendall(f"{PING}\n".replace("ADDRESS", api.address).replace("\n", "\r\n").encode())
        assert one.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Iterator[RuntimeApi]:
    for name in ("HEAD_S", "BODY_S", "FIRST_BYTE_S", "LINGER_S"):
        monkeypatch.setattr(endpoint, name, 0.3)
    with RuntimeApi() as api:
        yield api


@pytest.mark.parametrize(
    ("head", "drip"),
    [
        ("", b""),
        ("GET ", b""),
        ("GET /", b"x"),
        (NEXT + "Host: ADDRESS\n", b"X: y\r\n"),
        ("POST /nowhere HTTP/1.1\nHost: ADDRESS\nContent-Length: 1000000\n\n", b""),
        ("POST /nowhere HTTP/1.1\nHost: ADDRESS\nContent-Length: 1000000\n\n", b"x"),
        ("POST /2018-06-01/runtime/init/error HTTP/1.1\nHost: ADDRESS\nTransfer-Encoding: chunked\n\n", b"1\r\nx\r\n"),
        (f"{PING}\n{NEXT}Host: ADDR", b""),
        ("GET / HTTP/1.1\nHost: evil.example\nContent-Length: 1000000\n\n", b"x"),
    ],
    ids=[
        "silence", "half a line", "a line that drips", "headers that drip", "a body that stops", "a body that drips",
        "an init error that drips", "a second head", "after a refusal",
    ],
)  # fmt: skip
def test_what_does_not_come_in_time_ends_the_connection(hurried: RuntimeApi, head: str, drip: bytes) -> None:
    connection = say(hurried, head)
    never = threading.Event()
    ended = b"-"
    for _ in range(int(PATIENCE / 0.02)):
        try:
            connection.settimeout(0.02)
            ended = connection.recv(65536)
        except TimeoutError:
            pass
        except ConnectionResetError:
            ended = b""
        if not ended:
            break
        with contextlib.suppress(OSError):
            connection.sendall(drip)
        never.wait(0.02)
    connection.close()
    assert ended == b"", "still open"


def test_a_body_that_is_refused_is_read_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MAX_REFUSED_BODY", 1 << 20)
    with RuntimeApi() as api:
        connection = say(api, "POST /nowhere HTTP/1.1\nHost: ADDRESS\nContent-Length: 1000000000\n\n")
        n_sent = 0
        with pytest.raises(OSError), connection:
            for _ in range(953):
                connection.sendall(bytes(1 << 20))
                n_sent += 1
        assert n_sent < 64


def test_a_runtime_may_take_its_time_between_requests(hurried: RuntimeApi) -> None:
    never = threading.Event()
    with contextlib.closing(say(hurried, f"{NEXT}Host: ADDRESS\n\n")) as own:
        never.wait(0.7)  # parked for longer than any of the limits
        pending = hurried.submit(b'"event"')
        answer = b""
        while not answer.endswith(b'"event"'):
            answer += own.recv(65536)
        never.wait(0.7)  # a handler that takes as long
        path = f"/2018-06-01/runtime/invocation/{pending.request_id}/response"
        head = f"POST {path} HTTP/1.1\r\nHost: {hurried.address}\r\nContent-Length: 6\r\n\r\n"
        own.sendall(head.encode() + b'"re')
        never.wait(0.7)  # a result that is made slowly: the invocation's deadline is its limit
        own.sendall(b"st")
        own.sendall(b'"')
        assert own.recv(65536).startswith(b"HTTP/1.1 202 ")
        assert pending.answer().body == b'"rest"'


def test_the_bounds_are_those_that_the_documentation_names() -> None:
    assert (admission.HEAD_S, admission.BODY_S, admission.FIRST_BYTE_S, admission.SEND_S) == (10, 30, 60, 60)
    assert (MAX_CONNECTIONS, admission.MAX_REFUSED_BODY) == (64, 256 * 1024 * 1024)
