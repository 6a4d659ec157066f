"""Stands between an SDK and moto, and misbehaves as it is told."""

from __future__ import annotations

import http.client
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class AwsProxy:
    """A forwarding HTTP server on loopback.

    Args:
        upstream: address of moto.

    Attributes:
        url: what the SDK is told.
        plan: (method, what) of the answers to come: "throttle", "error" (500), "lose" (forwarded, no answer).
        calls: methods in the order in which they came.
    """

    def __init__(self, upstream: str) -> None:
        self.plan: list[tuple[str, str]] = []
        self.calls: list[str] = []
        host = urlsplit(upstream).netloc
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                method = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
                proxy.calls.append(method)
                what = ""
                if proxy.plan and proxy.plan[0][0] == method:
                    what = proxy.plan.pop(0)[1]
                if what in ("throttle", "error"):
                    kind = "ThrottlingException" if what == "throttle" else "InternalServiceError"
                    self._answer(400 if what == "throttle" else 500, json.dumps({"__type": kind}).encode())
                    return
                connection = http.client.HTTPConnection(host, timeout=60)
                connection.request("POST", self.path, body, dict(self.headers))
                response = connection.getresponse()
                answer = response.read()
                connection.close()
                if what == "lose":
                    self.close_connection = True
                    return
                self._answer(response.status, answer)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
