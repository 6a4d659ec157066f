"""A process pays only for what its handler uses: the modules that are loaded at the first answer."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from functions_env import functions_env
from support import AwsServer

HOUSE_RULE = {
    "orjson",
    "h11",
    "logging",
    "asyncio",
    "typing",
    "dataclasses",
    "re",
    "enum",
    "json",
    "traceback",
    "threading",
}
# What fastlambda itself may add to the interpreter's own start.
OURS = {"fastlambda", "fastlambda._core", "fastlambda.__main__"}

HANDLER = """
import sys
def handler(event, context):
    return sorted(sys.modules)
"""
START = "import fastlambda; fastlambda.main()"


@pytest.mark.parametrize("form", [["-m", "fastlambda"], ["-c", START]], ids=["-m", "-c"])
def test_a_plain_handler_has_loaded_nothing_of_the_list(form: list[str], tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text(HANDLER)
    with AwsServer([sys.executable, *form, "plain.handler"], functions_env(), tmp_path) as server:
        status, body = server.invoke(b"{}")
    assert status == 200
    loaded = set(json.loads(body))
    assert not loaded & HOUSE_RULE
    assert {name for name in loaded if name.startswith("fastlambda")} <= OURS


@pytest.mark.parametrize("form", [["-c", START]], ids=["-c"])
def test_a_plain_handler_adds_only_itself_to_the_interpreters_own_modules(form: list[str], tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "plain.py").write_text(HANDLER)
    bare = subprocess.run(
        [sys.executable, "-c", "import sys; print('\\n'.join(sys.modules))"],
        env=functions_env(),
        check=True,
        capture_output=True,
        text=True,
    )
    with AwsServer([sys.executable, *form, "plain.handler"], functions_env(), tmp_path) as server:
        _, body = server.invoke(b"{}")
    added = set(json.loads(body)) - set(bare.stdout.split())
    # _cython_...: Cython's registry of shared types, made in memory.
    assert {name for name in added if not name.startswith(("_cython_", "cython_"))} <= {
        *OURS,
        "plain",
        "_json",
        "faulthandler",  # built into the interpreter: the guard's dump of the stacks
    }
