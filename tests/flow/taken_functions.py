"""Handlers that take the guard's means away, and then hang."""

import os
import signal
import time

from fastlambda import hooks


def no_signals(event):
    """As code does that starts afresh after a fork, and forgets that it has not forked."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            pass


def another_stderr(event):
    """As a daemon does: descriptor 2 is a file of its own now."""
    number = os.open(event["file"], os.O_RDWR | os.O_CREAT, 0o600)
    os.dup2(number, 2)
    os.closerange(3, 256)


def no_stderr(event):
    """There is no original any more, and all numbers are the function's own file."""
    number = os.open(event["file"], os.O_RDWR | os.O_CREAT, 0o600)
    os.dup2(number, 2)
    os.closerange(3, 4096)
    for number in range(3, 1000):
        os.dup2(2, number)


def hang():
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            pass


def daemon(event):
    """A child that lives on, having closed what it knows of."""
    child = os.fork()
    if child == 0:
        os.closerange(0, 256)
        time.sleep(3600)
    return child


def handler(event, context):
    made = globals()[event["do"]](event) if event["do"] else None
    if event["how"] == "hang":
        hang()
    if event["how"] == "hang after":
        hooks.after_response(lambda: time.sleep(event["after_s"]))
    return made
