"""A function process that asks its Runtime API what no runtime should, and writes down the answers.

Usage: probe_runtime_api.py OUTPUT.  The answers to one invocation go to OUTPUT as JSON: [[name, text], ...].
"""

import json
import os
import re
import socket
import sys

HOST, _, PORT = os.environ["AWS_LAMBDA_RUNTIME_API"].partition(":")
BASE = "/2018-06-01"
NEXT = BASE + "/runtime/invocation/next"


def connect() -> socket.socket:
    sock = socket.create_connection((HOST, int(PORT)))
    sock.settimeout(60)
    return sock


def ask(method: str, path: str, body: bytes | None = None, *, close: bool = True, more: str = "") -> bytes:
    """A request, asking for the connection to be closed after its answer."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}:{PORT}\r\n{more}"
    if close:
        head += "Connection: close\r\n"
    if body is not None:
        head += f"Content-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + (body or b"")


def exchange(*requests: bytes) -> bytes:
    """Everything that comes back on one connection until the server closes it."""
    with connect() as sock:
        sock.sendall(b"".join(requests))
        answer = b""
        while part := sock.recv(65536):
            answer += part
    return answer


answers: list[tuple[str, bytes]] = []


def probe(name: str, *requests: bytes) -> bytes:
    answers.append((name, exchange(*requests)))
    return answers[-1][1]


def invocation(request_id: str, what: str) -> str:
    return f"{BASE}/runtime/invocation/{request_id}/{what}"


probe("ping", ask("GET", BASE + "/ping"))
probe("unknown path", ask("GET", BASE + "/nothing"))
probe("no base", ask("GET", "/ping"))
probe("next by POST", ask("POST", NEXT, b""))
probe("response by GET", ask("GET", invocation("x", "response")))
probe("response before next", ask("POST", invocation("x", "response"), b"{}"))
probe("restore without SnapStart", ask("GET", BASE + "/runtime/restore/next"))
probe("junk", b"hello\r\n\r\n")

first = probe("next", ask("GET", NEXT))
request_id = re.search(rb"Request-Id: (\S+)", first)[1].decode()  # type: ignore[index]
probe("next again", ask("GET", NEXT))
probe("init/error while running", ask("POST", BASE + "/runtime/init/error", b"{}"))
probe("wrong id", ask("POST", invocation("wrong", "response"), b"{}"))
probe("refused, then next", ask("POST", invocation("wrong", "error"), b"{}", close=False), ask("GET", NEXT))
probe("huge head", ask("POST", invocation(request_id, "error"), b"{}", more=f"X: {'y' * 1100000}\r\n"))
probe("too long", ask("POST", invocation(request_id, "response"), b"x" * 6_291_557))
probe("twice", ask("POST", invocation(request_id, "response"), b"{}"))
probe("error after that", ask("POST", invocation(request_id, "error"), b"{}"))
probe("init/error after that", ask("POST", BASE + "/runtime/init/error", b"{}"))

text = [(name, answer.decode("latin-1").replace(request_id, "ID")) for name, answer in answers]
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(text, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])

# Waits for the end of the world, as a runtime would.
exchange(ask("GET", NEXT))
