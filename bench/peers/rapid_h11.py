"""The straightforward runtime: h11 for HTTP, orjson for JSON, one loop.

Usage: python rapid_h11.py module.function, with AWS_LAMBDA_RUNTIME_API set. What one writes in an afternoon.
Knows no errors beyond the handler's, no context beyond the request id.
"""

import importlib
import os
import socket
import sys

import h11
import orjson

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
BASE = "/2018-06-01/runtime/invocation/"


class Client:
    """One keep-alive connection to the Runtime API."""

    def __init__(self):
        host, port = API.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.conn = h11.Connection(our_role=h11.CLIENT)

    def call(self, method, path, body=b""):
        """Send one request; return (status, headers, body) of its answer."""
        headers = [("Host", API)]
        if method == "POST":
            headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        out = self.conn.send(h11.Request(method=method, target=path, headers=headers))
        if body:
            out += self.conn.send(h11.Data(data=body))
        out += self.conn.send(h11.EndOfMessage())
        self.sock.sendall(out)
        response, parts = None, []
        while True:
            event = self.conn.next_event()
            if event is h11.NEED_DATA:
                self.conn.receive_data(self.sock.recv(65536))
            elif isinstance(event, h11.Response):
                response = event
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                break
            else:
                raise SystemExit("the endpoint closed the connection")
        self.conn.start_next_cycle()
        return response.status_code, dict(response.headers), b"".join(parts)


class Context:
    """The part of a context that this peer knows."""

    def __init__(self, request_id):
        self.aws_request_id = request_id


def main():
    module, _, name = sys.argv[1].rpartition(".")
    sys.path.insert(0, os.getcwd())
    handler = getattr(importlib.import_module(module), name)
    client = Client()
    while True:
        _, headers, body = client.call("GET", BASE + "next")
        request_id = headers[b"lambda-runtime-aws-request-id"].decode()
        try:
            result = orjson.dumps(handler(orjson.loads(body), Context(request_id)))
        except Exception as exc:
            fault = orjson.dumps({"errorType": type(exc).__name__, "errorMessage": str(exc)})
            client.call("POST", BASE + request_id + "/error", fault)
        else:
            client.call("POST", BASE + request_id + "/response", result)


if __name__ == "__main__":
    main()
