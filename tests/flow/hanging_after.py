"""A function whose callback after the response does what the event asked for."""

import os
import time

from hanging import LONG, gil_held_in_c

import fastlambda

TODO = []


def wait_for_file(path):
    while not os.path.exists(path):
        time.sleep(0.01)


def hang(do):
    if do == "sleep":
        time.sleep(LONG)
    elif do == "hold the lock in C":
        gil_held_in_c()
    elif do.startswith("/"):
        wait_for_file(do)


@fastlambda.after_response
def flush():
    if TODO:
        hang(TODO.pop())


def handler(event, context):
    TODO.append(event["do"])
    return os.getpid()


class Hooked(fastlambda.Runner):
    def setup(self, region):
        return []

    async def run(self, shared, event):
        shared.append(event.event["do"])
        return os.getpid()

    async def after_response(self, shared):
        hang(shared.pop())
