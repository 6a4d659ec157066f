"""Handlers that close descriptors which are not their own, and open others that get the numbers."""

import os
import socket
import threading
import time

import fastlambda
from fastlambda import hooks
from fastlambda._core import running

HELD = []  # what took the numbers: open to the end


def number():
    """The number of the connection to the Runtime API."""
    return running().channel.fileno()


def take(kind, where, fd=None):
    """Closes as daemonizing code does, and opens foreign things until one has the connection's number."""
    fd = number() if fd is None else fd
    assert fd > 2, fd
    os.closerange(3, 256)
    while kind != "nothing":
        if kind == "file":
            HELD.append(got := os.open(where, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
        elif kind == "pipe":
            got = max(os.pipe())
        else:
            host, _, port = where.rpartition(":")
            HELD.append(connection := socket.create_connection((host, int(port))))
            got = connection.fileno()
        if got >= fd:
            break


def result(event):
    take(event["kind"], event["where"])
    return "the result"


def error(event):
    take(event["kind"], event["where"])
    raise ValueError("the error")


@fastlambda.streaming
def stream(event, context):
    take(event["kind"], event["where"])
    yield b"the "
    yield b"stream"


@fastlambda.streaming
def mid_stream(event, context):
    yield b"the "
    take(event["kind"], event["where"])
    yield b"stream"


def after(event):
    hooks.after_response(lambda: take_once(event))
    return "the result"


def take_once(event):
    if not HELD:
        HELD.append(None)
        take(event["kind"], event["where"])


def poll(event):
    """A thread takes the number once the file that the event names is there: the loop waits for an event then."""

    def wait():
        while not os.path.exists(event["mark"]):
            time.sleep(0.01)
        take(event["kind"], event["where"], fd)
        os.rename(event["mark"], event["mark"] + ".taken")

    fd = number()
    threading.Thread(target=wait, daemon=True).start()
    return "the result"


def hang(event):
    """Until the guard's last word: what interrupts is thrown away."""
    take(event["kind"], event["where"])
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            pass


def plain(event):
    return event["value"]


def kept(event):
    """Whether what took the number is still open."""
    return [connection is None or isinstance(connection, int) or connection.fileno() >= 0 for connection in HELD]


def handler(event, context):
    if event["do"] in ("stream", "mid_stream"):
        return globals()[event["do"]](event, context)
    return globals()[event["do"]](event)
