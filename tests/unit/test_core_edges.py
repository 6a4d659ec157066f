"""What the core promises to others: to the import machinery, and to whoever is told of an error in the last resort."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support import ACCEPTED, Peer, ScriptedServer, event_answer

from fastlambda._core import Config, Runtime

FINDER = """
import importlib, sys
from fastlambda._core import Config, Runtime, take_over

class Name(str):
    pass

take_over(Runtime(Config(), None, None, None, True))
finder = sys.meta_path[0]
assert finder.find_spec("colorsys", path=None, target=None) is None
assert importlib.import_module(Name("colorsys")).__name__ == "colorsys"
assert finder.find_spec(Name("logging"), None).name == "logging"
assert finder.find_spec("logging", None) is None
"""


def test_the_finder_takes_arguments_and_names_as_the_import_machinery_defines_them() -> None:
    done = subprocess.run([sys.executable, "-c", FINDER], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class Error_of_mine(Exception):
    pass


def test_a_bare_report_names_the_class_by_its_letters_and_digits() -> None:
    seen = []

    def script(connection):  # type: ignore[no-untyped-def]
        peer = Peer(connection)
        peer.request()
        peer.send(event_answer(b"1", "a"))
        seen.append(peer.request())
        peer.send(ACCEPTED)

    with ScriptedServer(script) as server:
        runtime = Runtime(Config(runtime_api=server.address), None)
        inv = runtime.poll()
        with pytest.raises(Error_of_mine):
            runtime.fail_bare(inv, Error_of_mine('"é"'))
        runtime.channel.close()
        runtime.release_guard()
    head, body = seen[0]
    assert b"Lambda-Runtime-Function-Error-Type: Errorofmine\r\n" in head
    assert json.loads(body) == {"errorMessage": '"é"', "errorType": "Errorofmine", "stackTrace": []}


NEXT_PYTHON = """
import _json, json, operator, sys
from fastlambda._core import Codec

# Asks in C, as the interpreter does, for a setting that a later version may read; JSONDecoder has it.
json.JSONDecoder.hook_of_the_next_python = property(_json.make_scanner)
_json.make_scanner = operator.attrgetter("hook_of_the_next_python")
codec = Codec("stdlib")
assert codec.decode(b'[1, 2.5, {"a": null}]') == [1, 2.5, {"a": None}]
try:
    codec.decode(b"[NaN]")
except Exception as exc:
    assert "Expecting value: line 1 column 2" in str(exc), exc
else:
    sys.exit("not refused")
"""


def test_a_setting_of_the_scanner_that_only_a_later_python_reads_is_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", NEXT_PYTHON], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr)
