"""Handlers that are found by unusual means."""

import functools
import os


def handler(event, context):
    if context.aws_request_id == "end-of-batch":
        os._exit(0)
    return "plain"


def __getattr__(name):
    if name == "made_up":
        return handler
    raise AttributeError(name)


class K:
    @staticmethod
    def method(event, context):
        return handler(event, context)


partial = functools.partial(handler)
nothing = None


def coroutine(event, context):
    if context.aws_request_id == "end-of-batch":
        os._exit(0)

    async def later():
        return "from a coroutine"

    return later()
