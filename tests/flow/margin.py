"""A handler that comes back at a given moment (tools/guard_margin.py)."""

import contextlib
import time


def until(event):
    while (left := event["until_ms"] / 1000 - time.time()) > 0:
        time.sleep(left)
    return event["nonce"]


def until_swallowing(event):
    while time.time() < event["until_ms"] / 1000:
        with contextlib.suppress(BaseException):
            time.sleep(max(0.0, event["until_ms"] / 1000 - time.time()))
    return event["nonce"]


def computing(event):
    while time.time() < event["until_ms"] / 1000:
        pass
    return event["nonce"]


def computing_swallowing(event):
    while time.time() < event["until_ms"] / 1000:
        with contextlib.suppress(BaseException):
            computing(event)
    return event["nonce"]


def work(event):
    for _ in range(1000):
        len(str(event))
    return event["nonce"]


def handler(event, context):
    return globals()[event["do"]](event)
