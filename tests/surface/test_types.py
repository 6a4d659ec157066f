"""The typed face: a user's project passes the strict checkers, and the stub says what the extension has."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    "line", ["x: str = Orders().run({}, 3)\n", "class B(Runner[int, int, int]):\n    def run(self): ...\n"]
)
def test_the_strict_checker_sees_a_wrong_use(line: str, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    wrong.write_text(USER.read_text() + "\n\n" + line)
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--no-incremental", str(wrong)], cwd=ROOT)
    assert done.returncode == 1


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
    assert {n for n in declared if not n.startswith("__")} == there


def test_every_public_name_resolves() -> None:
    for name in fastlambda.__all__:
        assert getattr(fastlambda, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = fastlambda.nothing_like_it  # type: ignore[attr-defined]
