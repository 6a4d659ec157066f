"""A process pays only for what its handler uses: the modules that are loaded at the first answer."""

from __future__ import annotations

import ast
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


RUNNER = """
import sys
from collections.abc import AsyncIterator, Iterator
import fastlambda
class Function(fastlambda.Runner[{types}]):
    def run(self, shared, event):
        {result}
"""
RETURNED = "return {}"
AS_BYTES = "return repr({}).encode()"
YIELDED = "yield repr({})"
LOADED = "sorted(sys.modules)"
RUNNERS = {
    "any": ("None, object, object", RETURNED),
    "plain": ("None, dict, list", RETURNED),
    "plain containers": ("None, dict[str, list[int]], list[str | None]", RETURNED),
    "bytes": ("None, bytes, bytes", AS_BYTES),
    "bytes to plain": ("None, bytes, list[str]", RETURNED),
    "plain to bytes": ("None, dict[str, object] | None, bytes", AS_BYTES),
    "streamed": ("None, dict, Iterator[bytes]", YIELDED),
    "streamed from bytes": ("None, bytes, Iterator[str]", YIELDED),
    "streamed from containers": ("None, dict[str, int], Iterator[bytes | str]", YIELDED),
    "shared": ("dict[str, list[bytes]], bytes, object", RETURNED),
}
DECLARED = """
import sys
{bare}
bare = sorted(sys.modules)
from collections.abc import Iterator
import dataclasses
import fastlambda
@dataclasses.dataclass
class Order:
    id: int
class Function(fastlambda.Runner[None, {types}]):
    def run(self, shared, event):
        return repr((bare, sorted(sys.modules))).encode()
"""


def modules_of(text: str, folder: Path, event: bytes = b"{}") -> str:
    (folder / "function.py").write_text(text)
    with AwsServer([sys.executable, "-c", START, "function:Function"], functions_env(), folder) as server:
        status, body = server.invoke(event)
    assert status == 200, body
    return body.decode()


@pytest.mark.parametrize(("types", "result"), RUNNERS.values(), ids=RUNNERS)
def test_a_runner_of_any_plain_type_starts_without_typing(types: str, result: str, tmp_path: Path) -> None:
    body = modules_of(RUNNER.format(types=types, result=result.format(LOADED)), tmp_path)
    loaded = set(ast.literal_eval(body))
    assert not loaded & HOUSE_RULE
    more = {"fastlambda.runner"}
    if "Iterator" in types:
        more |= {"fastlambda.streams", "fastlambda.errors"}
    if types.count("[") > ("Iterator" in types):
        more |= {"fastlambda.typed"}  # what is inside of a container has to be looked at
    assert {name for name in loaded if name.startswith("fastlambda")} <= OURS | more


@pytest.mark.parametrize("types", ["Order, bytes", "Order, Order", "list[Order], object"])
def test_a_runner_of_a_dataclass_loads_what_msgspec_does_and_nothing_more(types: str, tmp_path: Path) -> None:
    text = DECLARED.format(bare="import dataclasses, msgspec, collections.abc", types=types)
    body = modules_of(text, tmp_path, b"[]" if types.startswith("list") else b'{"id": 1}')
    bare, loaded = map(set, ast.literal_eval(body.strip('"') if body.startswith('"') else body))
    assert loaded - bare <= {
        "fastlambda",
        "fastlambda._core",
        "fastlambda.runner",
        "fastlambda.typed",
        "function",
        "_json",
    }
