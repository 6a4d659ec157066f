"""The console script: what it hands over to, and what it says where that is not installed."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support import ROOT, clean_env

from fastlambda._version import __version__

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
    for name in ("__init__.py", "_command.py", "_version.py"):
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


# ---- what is said where the extension cannot be loaded ---------------------------------------------------------------

IMPORTS = [
    "from fastlambda import Runner",
    "import fastlambda; fastlambda.main",
    "import fastlambda.batch",
    "import fastlambda.hooks",
    "from fastlambda.custom_resource import CustomResourceRunner",
    "import runpy; runpy.run_module('fastlambda')",
]


@pytest.fixture
def without_extension(tmp_path: Path) -> Path:
    """The runtime's part of the tree, with an extension that no Python loads."""
    for path in (ROOT / "src/fastlambda").rglob("*.py"):
        name = path.relative_to(ROOT / "src")
        if name.parts[1] not in ("local", "packaging"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(path.read_bytes())
    (tmp_path / "fastlambda/_core.abi3.so").write_bytes(b"\x7fELF" + bytes(14) + b"\xb7\0")
    return tmp_path


def said_by(code: str, path: Path, before: str = "") -> list[str]:
    script = f"import sys; sys.path.insert(0, {str(path)!r}); {before}\n{code}"
    done = subprocess.run([sys.executable, "-c", script], env=clean_env(), capture_output=True, text=True)
    assert done.returncode == 1
    return done.stderr.rpartition("ImportError: ")[2].splitlines()


@pytest.mark.parametrize("code", IMPORTS)
def test_an_extension_for_another_machine_is_told_whatever_is_imported(without_extension, code):
    said = said_by(code, without_extension)
    assert said[0].startswith("fastlambda cannot load its extension module: ")
    assert "found          _core.abi3.so (ELF for aarch64)" in said[3] and "another machine" in said[4]
    assert len(said) == 5


@pytest.mark.parametrize("code", IMPORTS)
def test_a_python_that_is_too_old_is_told_the_one_that_is_needed(without_extension, code):
    said = said_by(code, without_extension, "sys.version_info = (3, 10, 13, 'final', 0)")
    assert said[0].startswith(
        "fastlambda cannot load its extension module: it needs Python 3.11 or newer, and this is "
    )
    assert "use Python 3.11 or newer" in said[-1] and "another machine" not in " ".join(said)


# ---- without the tools -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["--version", "-h", "--help"])
def test_without_the_tools_version_and_help_are_answered_with_what_is_true(package, word):
    done = run(package.parent, word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == (
        f"fastlambda {__version__}" if word == "--version" else "usage: fastlambda COMMAND ..."
    )
    if word != "--version":
        assert "are not installed" in done.stdout and "pip install 'fastlambda[local]'" in done.stdout
        assert "python -m fastlambda module.function" in done.stdout
