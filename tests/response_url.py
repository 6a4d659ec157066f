"""What stands behind a presigned URL in tests: an HTTP server that keeps what is PUT, and answers as it is told."""

from __future__ import annotations

import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

DRIP = -1
SECRET = "X-Amz-Signature=SIGNATURE-THAT-NOBODY-MAY-SEE"


class ResponseUrl:
    """The server.

    Args:
        statuses: of its answers, one after the other; 200 from then on. 0 closes the connection without an answer,
            307 redirects to another path of the same server, DRIP never comes to the end of its head.
        tls: makes it https.

    Attributes:
        url: with a query that looks like a signature.
        puts: (path, headers, body) of each PUT.
    """

    def __init__(self, *statuses: int, tls: ssl.SSLContext | None = None) -> None:
        self.puts: list[tuple[str, dict[str, str], bytes]] = []
        waiting = list(statuses)
        puts = self.puts
        is_over = self._is_over = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                puts.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                status = waiting.pop(0) if waiting else 200
                if status == DRIP:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                    while not is_over.wait(0.02):
                        self.wfile.write(b"y")
                if status in (0, DRIP):
                    self.close_connection = True
                    return
                self.send_response(status)
                if status == 307:
                    self.send_header("Location", "/elsewhere?" + SECRET)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: object) -> None:
                """A client that does not trust the certificate is no matter of the test's output."""

        self._server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = (
            f"http{'' if tls is None else 's'}://127.0.0.1:{self._server.server_address[1]}/stack/answer?{SECRET}"
        )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def answer(self) -> dict[str, Any]:
        """The response object that was PUT; all PUTs must be the same."""
        bodies = {body for _, _, body in self.puts}
        assert len(bodies) == 1, "CloudFormation must not be told two things"
        found: dict[str, Any] = json.loads(bodies.pop())
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def request(url: str, request_type: str = "Create", **more: Any) -> dict[str, Any]:
    """A request as CloudFormation sends it; fields of `more` that are None are left out."""
    event = {
        "RequestType": request_type,
        "ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:f",
        "ResponseURL": url,
        "StackId": "arn:aws:cloudformation:eu-central-1:123456789012:stack/shop/8a1b2c3d",
        "RequestId": "5478764d-b2a6-4dd8-9d0f-1f2e3d4c5b6a",
        "ResourceType": "Custom::Thing",
        "LogicalResourceId": "Thing",
        "ResourceProperties": {"ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:f", "Size": "5"},
        **({} if request_type == "Create" else {"PhysicalResourceId": "thing-1"}),
        **({"OldResourceProperties": {"ServiceToken": "x", "Size": "4"}} if request_type == "Update" else {}),
        **more,
    }
    return {k: v for k, v in event.items() if v is not None}
