"""FASTLAMBDA_LAZY_IMPORTS=1: what it makes lazy, and that a failure that comes from it names it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from functions_env import functions_env
from support import AwsServer

SWITCH = "FASTLAMBDA_LAZY_IMPORTS=1"
HAS_LAZY = hasattr(sys, "set_lazy_imports")
APP = """
import sys
import decimal
import not_there
from json import nothing
import broken
import lacking


def loaded(event, context):
    before = "decimal" in sys.modules
    return [before, str(decimal.Decimal("1.5")), "_decimal" in sys.modules]


def missing(event, context):
    return not_there.x


def nameless(event, context):
    return nothing


def raising(event, context):
    return broken.x


def unrelated(event, context):
    return {}["key"]


def unregistered(event, context):
    return lacking.part
"""


def started(tmp_path: Path, handler: str, source: str = APP, **env: str) -> AwsServer:
    (tmp_path / "app.py").write_text(source)
    (tmp_path / "broken.py").write_text("raise ValueError('at its import')\n")
    (tmp_path / "lacking.py").write_text("")
    start = "import fastlambda; fastlambda.main()"
    variables = functions_env(LAMBDA_TASK_ROOT=str(tmp_path), FASTLAMBDA_LAZY_IMPORTS="1", **env)
    return AwsServer([sys.executable, "-c", start, f"app.{handler}"], variables, tmp_path)


lazy_only = pytest.mark.skipif(not HAS_LAZY, reason="imports are lazy from Python 3.15 on")


@lazy_only
def test_what_a_module_imports_at_its_top_is_imported_when_it_is_used(tmp_path: Path) -> None:
    with started(tmp_path, "loaded") as server:
        assert json.loads(server.invoke(b"{}")[1]) == [False, "1.5", True]
        assert json.loads(server.invoke(b"{}")[1])[0] is True
        assert SWITCH not in server.log


@lazy_only
@pytest.mark.parametrize(
    ("handler", "kind", "named"),
    [
        ("missing", "ModuleNotFoundError", "put the import of 'not_there' off to its first use, where it failed"),
        ("nameless", "ImportError", "put the import of 'json.nothing' off to its first use, where it failed"),
        ("raising", "ValueError", "put the import of 'broken' off to its first use, where it failed"),
        ("unregistered", "AttributeError", "if this works without the variable, that is why"),
    ],
)
def test_a_failure_that_comes_from_laziness_names_the_switch(
    tmp_path: Path, handler: str, kind: str, named: str
) -> None:
    with started(tmp_path, handler) as server:
        assert json.loads(server.invoke(b"{}")[1])["errorType"] == kind
        (line,) = [line for line in server.log.splitlines() if SWITCH in line]
        assert named in line


@lazy_only
def test_another_failure_does_not_name_it(tmp_path: Path) -> None:
    with started(tmp_path, "unrelated") as server:
        assert json.loads(server.invoke(b"{}")[1])["errorType"] == "KeyError"
        assert SWITCH not in server.log


@lazy_only
def test_an_init_that_fails_names_it(tmp_path: Path) -> None:
    with started(tmp_path, "handler", "import lacking\nlacking.part\ndef handler(event, context): pass\n") as server:
        server.invoke(b"{}")
        assert f"imports are lazy here ({SWITCH})" in server.log


@lazy_only
def test_our_own_modules_import_as_ever(tmp_path: Path) -> None:
    code = """
import sys
import fastlambda.runner
def handler(event, context):
    from fastlambda import Runner
    import fastlambda.batch
    return sorted(name for name in sys.lazy_modules if "fastlambda" in name)
"""
    with started(tmp_path, "handler", code) as server:
        # The function's own import of one of ours is its own affair.
        assert json.loads(server.invoke(b"{}")[1]) in ([], ["fastlambda", "fastlambda.runner"])


@pytest.mark.skipif(HAS_LAZY, reason="this Python has lazy imports")
def test_an_older_python_says_so_and_goes_on(tmp_path: Path) -> None:
    with started(tmp_path, "handler", "def handler(event, context): return 1\n") as server:
        assert server.invoke(b"{}")[1] == b"1"
        assert f"{SWITCH} needs Python 3.15 or newer, this is {sys.version.split()[0]}" in server.log
