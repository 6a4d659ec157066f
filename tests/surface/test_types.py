"""The typed face: a user's project passes the strict checkers, and the stub says what the extension has."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import jedi
import pytest
from support import ROOT

import fastlambda
from fastlambda import _core

USER = Path(__file__).with_name("typing_user.py")
SPECIAL = Path(__file__).with_name("typing_special.py")


@pytest.mark.parametrize(
    "command",
    [
        ["mypy", "--strict", "--no-incremental", str(USER), str(SPECIAL)],
        ["pyright", "--warnings", str(USER), str(SPECIAL)],
    ],
    ids=["mypy", "pyright"],
)
def test_a_users_project_passes_the_strict_checker(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


WRONG = {
    "a wrong argument": "x: str = Orders().run({}, 3)",
    "a run without arguments": "class B(Runner[int, int, int]):\n    def run(self): ...",
    "a typo in a Context": "def f(context: Context) -> str:\n    return context.aws_requst_id",
    "exec_test of another type": "y: list[str] = fastlambda.exec_test(Orders, TestData([]))",
    "a stream that is no bytes": "z: list[str] = fastlambda.exec_test(Letters, TestData([]))",
    "an option that streaming has not": "@fastlambda.streaming(content='text/plain')\ndef g(a: object) -> object: ...",
}


def test_the_strict_checkers_see_each_wrong_use(tmp_path: Path) -> None:
    good = USER.read_text()
    (tmp_path / "good.py").write_text(good)
    for n, line in enumerate(WRONG.values()):
        (tmp_path / f"wrong{n}.py").write_text(good + "\n\n" + line + "\n")
    for command in (["mypy", "--strict", "--no-incremental"], ["pyright"]):
        files = [str(p) for p in sorted(tmp_path.glob("*.py"))]
        done = subprocess.run([sys.executable, "-m", *command, *files], cwd=ROOT, capture_output=True, text=True)
        unseen = [what for n, what in enumerate(WRONG) if not re.search(rf"wrong{n}\.py:\d+.*error", done.stdout)]
        assert not unseen, (command, done.stdout)
        assert "good.py" not in done.stdout, done.stdout


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)


@pytest.mark.parametrize("page", ["README.md", "docs/runners.md"])
def test_the_first_runners_that_people_copy_pass_the_strict_checker(page: str, tmp_path: Path) -> None:
    runners = [block for block in python_blocks(ROOT / page) if "class Orders(Runner[" in block]
    assert runners
    for n, block in enumerate(runners):
        (tmp_path / f"example{n}.py").write_text(block)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", *map(str, tmp_path.glob("*.py"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("import fastlambda\nfastlambda.", {*fastlambda.__all__, "exec"} - {"__version__"}),
        ("from fastlambda import Context\ndef h(event, c: Context):\n    c.", {"aws_request_id", "deadline", "log"}),
        (
            "from fastlambda import LambdaEvent, Runner\nclass R(Runner):\n"
            "    def run(self, shared, event: LambdaEvent):\n        event.",
            {"event", "region", "ctx"},
        ),
        ("from fastlambda import Config\nConfig.from_env().", {"handler", "timeout_margin_ms", "memory_margin_mb"}),
    ],
    ids=["module", "context", "event", "config"],
)
def test_an_editor_completes_public_names(code: str, names: set[str]) -> None:
    lines = code.splitlines()
    offered = {c.name for c in jedi.Script(code).complete(len(lines), len(lines[-1]))}
    assert names <= offered, names - offered


def stub_names() -> dict[str, set[str]]:
    tree = ast.parse((ROOT / "src/fastlambda/_core.pyi").read_text())
    return {
        node.name: {
            item.name if isinstance(item, ast.FunctionDef) else item.target.id  # type: ignore[union-attr]
            for item in node.body
            if isinstance(item, (ast.FunctionDef, ast.AnnAssign))
        }
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


@pytest.mark.parametrize("name", sorted(stub_names()))
def test_the_stub_and_the_extension_have_the_same_names(name: str) -> None:
    declared = stub_names()[name]
    kind = getattr(_core, name)
    there = {n for n in vars(kind) if not n.startswith("_")}
    if name == "Context":  # its attributes are made when asked for
        there |= set(__import__("fastlambda.context").context.ATTRIBUTES)
    if name == "Config":  # as are its fields, from one table
        config = _core.Config()
        there |= set(vars(config))
    assert {n for n in declared if not n.startswith("_")} == there


def test_every_public_name_resolves() -> None:
    for name in fastlambda.__all__:
        assert getattr(fastlambda, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = fastlambda.nothing_like_it  # type: ignore[attr-defined]
