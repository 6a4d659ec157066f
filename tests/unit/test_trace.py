"""_X_AMZN_TRACE_ID: what tracing libraries read, in Python and in C, and without a cost in memory."""

from __future__ import annotations

import os
import subprocess
import sys

from support import ScriptedServer, clean_env, events_script

from fastlambda._core import Config, Runtime


def test_the_variable_follows_the_invocation_in_python_in_c_and_in_children() -> None:
    traces: list[str | None] = ["Root=1-a", "Root=1-b;Parent=x", "Root=1-b;Parent=x", None, "Root=" + "c" * 2000]
    seen: list[tuple[str | None, ...]] = []

    def call(event: object, context: object) -> object:
        name = "_X_AMZN_TRACE_ID"
        code = f"import os; print(os.environ.get('{name}'))"
        child = subprocess.run([sys.executable, "-c", code], capture_output=True)
        seen.append((os.environ.get(name), os.getenv(name), child.stdout.decode().strip()))
        return None

    headers = [[f"Lambda-Runtime-Trace-Id: {t}"] if t else [] for t in traces]
    try:
        with ScriptedServer(events_script(headers)) as server:
            Runtime(Config(runtime_api=server.address), call).serve(len(traces))
    finally:
        os.environ.pop("_X_AMZN_TRACE_ID", None)
    assert seen == [(t, t, str(t)) for t in traces]


def test_a_hundred_thousand_values_take_no_memory() -> None:
    code = """
import resource
from fastlambda._core import Config, Invocation, Runtime
from ctypes import CDLL, c_char_p
import os
runtime = Runtime(Config(), None, None, None, True)
def rss():
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096
def put(n):
    for i in range(n):
        runtime.publish_trace(Invocation.offline(b"", "id", 60_000, f"Root=1-{i:032d};Parent=0000;Sampled=1"))
put(2000)
before = rss()
put(100_000)
assert os.environ["_X_AMZN_TRACE_ID"].startswith("Root=1-" + "0" * 27 + "99999;")
get = CDLL(None).getenv
get.restype = c_char_p
assert get(b"_X_AMZN_TRACE_ID").startswith(b"Root=1-" + b"0" * 27 + b"99999;")
grown = rss() - before
assert grown < 1_000_000, grown
"""
    subprocess.run([sys.executable, "-c", code], env=clean_env(), check=True)


def test_whatever_else_changes_the_environment_the_next_value_is_seen() -> None:
    code = """
from fastlambda._core import Config, Invocation, Runtime
from ctypes import CDLL, c_char_p
import os
libc = CDLL(None)
libc.getenv.restype = c_char_p
NAME = "_X_AMZN_TRACE_ID"
runtime = Runtime(Config(), None, None, None, True)
def publish(value):
    runtime.publish_trace(Invocation.offline(b"", "id", 60_000, value))
    assert os.environ.get(NAME) == (value or None), os.environ.get(NAME)
    assert libc.getenv(NAME.encode()) == (value.encode() if value else None), libc.getenv(NAME.encode())
    entries = [line for line in os.popen("env").read().splitlines() if line.startswith(NAME)]
    assert entries == ([f"{NAME}={value}"] if value else []), entries
def grow(n):
    for i in range(n):
        os.environ[f"MORE_{n}_{i}"] = "x"
publish("one")
publish("two")
grow(100)
publish("three")
os.environ[NAME] = "the user's own"
publish("four")
publish("five")
libc.putenv(b"_X_AMZN_TRACE_ID=from C")
publish("six")
del os.environ[NAME]
publish("seven")
libc.unsetenv(NAME.encode())
publish("eight")
publish("")
publish("nine")
for key in list(os.environ):
    if key.startswith("MORE"):
        del os.environ[key]
publish("ten")
publish("e" * 5000)
publish("eleven")
"""
    subprocess.run([sys.executable, "-c", code], env=clean_env(), check=True)
