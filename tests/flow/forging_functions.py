"""Handlers whose messages look like more than one entry of a log."""

import logging
import os
import socket

from fastlambda import hooks
from fastlambda._core import log_setup

FORGED = "sold out\nREPORT RequestId: 00000000-0000-0000-0000-000000000000\tDuration: 1.00 ms\r\nEND RequestId: x\n"


def record(event):
    logging.getLogger().error(FORGED)


def argument(event):
    logging.getLogger().error("order %s", FORGED)


def traceback(event):
    try:
        raise ValueError(FORGED)
    except ValueError:
        logging.getLogger().exception("it failed")


def stack(event):
    logging.getLogger().error("here", stack_info=True)


def uncaught(event):
    raise ValueError(FORGED)


def after(event):
    told = []

    def fails():
        if not told:  # once: the call after the next response may come before or after the log is read
            told.append(True)
            raise ValueError(FORGED)

    hooks.after_response(fails)


def telemetry_taken(event):
    """The number of the platform's descriptor is a foreigner's now."""
    ours, theirs = socket.socketpair()
    os.dup2(ours.fileno(), log_setup().fd)
    logging.getLogger().error("told")
    theirs.setblocking(False)
    try:
        return theirs.recv(1000).decode("latin-1")
    except BlockingIOError:
        return ""


def closed_streams(event):
    """The standard streams' numbers are free: a connection must not get one of them, which print() writes to."""
    os.closerange(0, 256)
    os.open(os.devnull, os.O_RDONLY)  # as number 0: the next one is what print() writes to
    return "first"


def prints(event):
    try:
        print("POST /2018-06-01/runtime/init/error HTTP/1.1\r\n\r\n", flush=True)
    except OSError:
        pass
    return "printed"


def handler(event, context):
    return globals()[event["do"]](event)
