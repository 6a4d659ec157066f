"""A scripted Runtime API endpoint on a plain socket.

Owns the loopback server of the differential tests.  Promises that the exact bytes of every request are kept,
in the order in which they came.  Serves a fixed list of answers to `next`; knows nothing of either client.
Source: Runtime API version 2018-06-01.
"""

import socket
import threading
import time
from dataclasses import dataclass, field

OK = b'{"status":"OK"}\n'


@dataclass
class Event:
    """One answer to `invocation/next`, and how the report about it is answered.

    Args:
        request_id: becomes the request id header; also names the case.
        body: bytes of the event.
        headers: extra or replacing headers; a value of None removes the header.
        report_status: HTTP status that the report (response or error) gets.
    """

    request_id: str
    body: bytes = b"{}"
    headers: dict[str, str | None] = field(default_factory=dict)
    report_status: int = 202
    deadline_in_ms: int = 60_000

    def head(self) -> bytes:
        fields: dict[str, str | None] = {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": self.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int(time.time() * 1000) + self.deadline_in_ms),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:123456789012:function:f",
            **self.headers,
        }
        lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
        lines.append(f"Content-Length: {len(self.body)}")
        return ("HTTP/1.1 200 OK\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@dataclass
class Request:
    """One request as it came over the wire; `answered` counts the events handed out before it."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    answered: int
    connection: int
    raw_head: bytes

    def header(self, name: str) -> str | None:
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None


class Endpoint:
    """Serves `events` in order, then holds the poll open until `close`.

    Args:
        events: answers to `invocation/next`.
        statuses: path suffix -> HTTP status, for the calls outside an invocation (`init/error`, `restore/next`).
        on_next: called, on the server's thread, with the number of events handed out before each answer to `next`.
    """

    def __init__(self, events, statuses=None, on_next=None):
        self.events = list(events)
        self.statuses = statuses or {}
        self.on_next = on_next
        self.requests: list[Request] = []
        self.polls = 0
        self.done = threading.Event()
        self.waiting = threading.Event()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self):
        self.done.set()
        for sock in [self._server, *self._sockets]:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self._sockets.append(sock)
            thread = threading.Thread(target=self._talk, args=(sock, len(self._sockets)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _talk(self, sock, connection):
        buf = b""
        try:
            while True:
                while b"\r\n\r\n" not in buf:
                    piece = sock.recv(65536)
                    if not piece:
                        return
                    buf += piece
                head, _, buf = buf.partition(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = [tuple(part.strip(" ") for part in line.split(":", 1)) for line in lines[1:]]
                lookup = {name.lower(): value for name, value in headers}
                if lookup.get("transfer-encoding") == "chunked":
                    body, buf = self._chunked(sock, buf)
                else:
                    length = int(lookup.get("content-length", 0))
                    while len(buf) < length:
                        piece = sock.recv(1 << 20)
                        if not piece:
                            return
                        buf += piece
                    body, buf = buf[:length], buf[length:]
                answer = self._answer(Request(method, path, headers, body, self.polls, connection, head))
                if answer is None:
                    return
                sock.sendall(answer)
        except OSError:
            return

    @staticmethod
    def _chunked(sock, buf):
        body = b""
        while True:
            while b"\r\n" not in buf:
                buf += sock.recv(65536)
            size, _, buf = buf.partition(b"\r\n")
            need = int(size, 16) + 2
            while len(buf) < need:
                buf += sock.recv(65536)
            if need == 2:
                return body, buf[2:]
            body += buf[: need - 2]
            buf = buf[need:]

    def _answer(self, request: Request) -> bytes | None:
        with self._lock:
            self.requests.append(request)
            if request.path.endswith("/invocation/next"):
                position = self.polls
                if self.on_next:
                    self.on_next(position)
                if position < len(self.events):
                    self.polls += 1
                    event = self.events[position]
                    return event.head() + event.body
            elif "/invocation/" in request.path and self.polls:
                return self._reply(self.events[self.polls - 1].report_status)
            else:
                for suffix, status in self.statuses.items():
                    if request.path.endswith(suffix):
                        return self._reply(status)
                if request.path.endswith("/restore/next"):
                    return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
                return self._reply(202)
        # No event is left: a real endpoint would hold the poll, too.
        self.waiting.set()
        self.done.wait(60)
        return None

    @staticmethod
    def _reply(status: int) -> bytes:
        body = OK if status == 202 else b'{"errorMessage":"refused","errorType":"Refused"}\n'
        head = f"HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body
