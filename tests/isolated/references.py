"""Counts the interpreter's memory blocks over many exchanges of one kind; prints the growth of each kind.

Usage: references.py HTTP_MODE. A lost reference of an object per exchange would show as a block per exchange.
"""

import gc
import os
import socket
import sys
import threading

from support import ACCEPTED, Peer, answer_with, event_answer

from fastlambda._core import Channel, Config, Runtime
from fastlambda.errors import FastlambdaError

N = 300
EVENT = event_answer(b'{"a":[1,2.5,"x"]}', "id-1", ["Lambda-Runtime-Trace-Id: t", "Lambda-Runtime-Invocation-Id: i"])
ODD = EVENT.replace(b"Date:", b"B: b\r\n c\r\nDate:")
CHUNKED = event_answer(b'{"a":1}', chunked=True)
CASES = {
    "result": (EVENT, ACCEPTED),
    "chunked": (CHUNKED, ACCEPTED),
    "by h11": (ODD, ACCEPTED),
    "chunked, trailers": (CHUNKED.replace(b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n"), ACCEPTED),
    "handler's error": (event_answer(b'"raise"'), ACCEPTED),
    "not JSON": (event_answer(b"{"), ACCEPTED),
    "too large": (EVENT, answer_with(b"413 No")),
    "broken head": (b"HTTP/1.1 200 OK\r\nA: \0\r\n\r\n", None),
    "broken length": (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", None),
    "broken chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX", None),
    "no request id": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", None),
    "refused poll": (answer_with(b"403 No"), None),
}


def handler(event, context):
    if event == "raise" or not context.aws_request_id:
        raise ValueError("as asked")
    return event


class Server:
    """One connection at a time, which may end at any moment."""

    def __init__(self, listener):
        self.listener = listener
        self.delivery, self.answer = EVENT, ACCEPTED
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            peer = Peer(connection)
            try:
                while True:
                    head, _ = peer.request()
                    peer.send(self.delivery if head.startswith(b"GET") else self.answer)
            except (AssertionError, OSError):
                connection.close()
                del peer


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(listener)
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    runtime = Runtime(Config(runtime_api=address, http=sys.argv[1]), handler)
    channel = Channel(address, sys.argv[1])
    for name, (server.delivery, server.answer) in CASES.items():

        def once():
            if server.answer is None:
                try:
                    channel.next()
                except FastlambdaError:
                    channel.close()
                    return
                raise SystemExit("no error")
            runtime.serve(1)

        for _ in range(50):
            once()
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(N):
            once()
        gc.collect()
        print(f"{name}\t{sys.getallocatedblocks() - before}", file=sys.stderr)
        runtime.channel.close()


if __name__ == "__main__":
    with open(os.devnull, "w") as sys.stdout:
        main()
    sys.stdout = sys.__stdout__
