"""Functions that tests start in processes of their own."""

import os
from dataclasses import dataclass

from fastlambda import LambdaEvent, Runner


def echo(event, context):
    return event


def fail(event, context):
    if event.get("fail"):
        raise ValueError("as asked")
    return os.getpid()


class SyncEcho(Runner[None, dict, dict]):
    def run(self, shared, event):
        return event.event


class AsyncEcho(Runner[None, dict, dict]):
    async def run(self, shared, event):
        return event.event


@dataclass
class Text:
    text: str | None = None


class TypedEcho(Runner[None, Text, Text | dict[str, str]]):
    """Gives `{}` back as it came: a text that is not there is left out."""

    def run(self, shared: None, event: LambdaEvent[Text]) -> Text | dict[str, str]:
        return event.event if event.event.text is not None else {}


class FailingRunner(Runner[None, dict, object]):
    async def run(self, shared, event):
        return fail(event.event, event.ctx)
