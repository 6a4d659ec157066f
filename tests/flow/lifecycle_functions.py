"""Functions with callbacks around their invocations; each tells on standard output what runs."""

import os
import sys

import fastlambda
from fastlambda import Runner


def say(text):
    print(text)


fastlambda.on_shutdown(say, "shutdown 1")
fastlambda.on_shutdown(say, "shutdown 2")
fastlambda.after_response(say, "after")


@fastlambda.after_response
def failing():
    raise ValueError("flush failed")


def handler(event, context):
    print("handler")
    if event.get("fail"):
        raise ValueError("as asked")
    return sorted({"logging", "signal", "traceback", "socket"} & set(sys.modules))


class Hooked(Runner[dict, dict, int]):
    def setup(self, region):
        return {"n": 0}

    async def run(self, shared, event):
        shared["n"] += 1
        return shared["n"]

    def after_response(self, shared):
        print(f"after {shared['n']}")

    async def shutdown(self, shared):
        print(f"shutdown {shared['n']}")


fastlambda.register_before_snapshot(say, "before 1")
fastlambda.register_before_snapshot(say, "before 2")
fastlambda.register_after_restore(say, "restored 1")
fastlambda.register_after_restore(say, "restored 2")


def pid(event, context):
    return os.getpid()
