"""The console script: what it hands over to, and what it says where that is not installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support import ROOT, clean_env

# As the console script does, with one module that cannot be found or does not load.
SCRIPT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from fastlambda._command import main; sys.exit(main())"


def run(shadow: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(shadow), *args], env=clean_env(), capture_output=True, text=True
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The runtime's part of the tree that the command needs, without the tools."""
    (tmp_path / "fastlambda").mkdir()
    for name in ("__init__.py", "_command.py"):
        (tmp_path / "fastlambda" / name).write_text((ROOT / "src/fastlambda" / name).read_text())
    return tmp_path / "fastlambda"


def test_the_console_script_is_the_small_module():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"fastlambda": "fastlambda._command:main"}


def test_it_hands_over_to_the_command_line(tmp_path):
    done = run(tmp_path, "--version")
    assert (done.returncode, done.stdout.split()[0], done.stderr) == (0, "fastlambda", "")


@pytest.mark.parametrize("left", [[], ["local"], ["local", "local/__pycache__"]], ids=["nothing", "folder", "cache"])
def test_without_the_tools_it_says_what_to_install_and_that_lambda_needs_nothing(package, left):
    for folder in left:  # what an uninstallation may leave behind
        (package / folder).mkdir()
    done = run(package.parent, "invoke", "app.handler", "{}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"fastlambda: the tools for your own machine are not installed for {sys.executable}\n"
        "  to install them   pip install 'fastlambda[local]'\n"
        "  in Lambda         none of them is needed: python -m fastlambda module.function\n"
    )


def test_another_missing_module_keeps_its_own_error(package):
    (package / "local").mkdir()
    (package / "local/cli.py").write_text("import not_there\n")
    done = run(package.parent)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'not_there'"
