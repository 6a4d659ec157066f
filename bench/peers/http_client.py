"""The runtime of the standard library: http.client and json, nothing installed.

Usage: python http_client.py module.function, with AWS_LAMBDA_RUNTIME_API set.
Knows no errors beyond the handler's, no context beyond the request id.
"""

import http.client
import importlib
import json
import os
import socket
import sys

API = os.environ["AWS_LAMBDA_RUNTIME_API"]
BASE = "/2018-06-01/runtime/invocation/"


class Context:
    """The part of a context that this peer knows."""

    def __init__(self, request_id):
        self.aws_request_id = request_id


def main():
    module, _, name = sys.argv[1].rpartition(".")
    sys.path.insert(0, os.getcwd())
    handler = getattr(importlib.import_module(module), name)
    connection = http.client.HTTPConnection(API)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(method, path, body=None):
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.headers, response.read()

    while True:
        headers, body = call("GET", BASE + "next")
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        try:
            result = json.dumps(handler(json.loads(body), Context(request_id))).encode()
        except Exception as exc:
            fault = json.dumps({"errorType": type(exc).__name__, "errorMessage": str(exc)}).encode()
            call("POST", BASE + request_id + "/error", fault)
        else:
            call("POST", BASE + request_id + "/response", result)


if __name__ == "__main__":
    main()
