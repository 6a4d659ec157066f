"""The wheel of this machine's platform, built as the others are, and a virtual environment with it for each Python."""

import hashlib
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import pythons
from e2e import Installed
from support import ROOT, clean_env

PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")


@pytest.fixture(scope="session")
def wheelhouse() -> Path:
    """What `dev.py wheelhouse` makes for this machine's platform; built once for one state of the sources."""
    sources = [
        path
        for pattern in ("src/**/*", "packages/**/*", "tools/wheelhouse.py", "*.toml", "setup.py")
        for path in ROOT.glob(pattern)
    ]
    digest = hashlib.sha256(platform.machine().encode())
    endings = (".py", ".pyi", ".pyx", ".pxi", ".pxd", ".c", ".h", ".sh", ".toml")
    for path in sorted(p for p in sources if p.is_file() and p.suffix in endings):
        if path.name != "_core.c":
            digest.update(path.read_bytes())
    folder = ROOT / ".cache/test-wheelhouse"
    if not (folder / digest.hexdigest()).exists():
        tool = [sys.executable, str(ROOT / "tools/wheelhouse.py"), "--only", f"manylinux_2_17_{platform.machine()}"]
        subprocess.run([*tool, "-o", str(folder)], check=True, env=clean_env())
        for old in folder.glob("?" * 64):
            old.unlink()
        (folder / digest.hexdigest()).touch()
    return folder


def find_python(version: str) -> str | None:
    from fastlambda.packaging.bytecode import find_python

    return find_python(version) or pythons.path_of(version)


def install(python: str, wheelhouse: Path, folder: Path, *packages: str) -> Installed:
    """Packages installed from the wheelhouse alone, in a new environment, away from the checkout."""
    here = folder / "venv/bin/python"
    subprocess.run([python, "-m", "venv", "--without-pip", folder / "venv"], check=True, env=clean_env())
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(here), "install", "-q"]
    command = [*pip, "--no-index", "--find-links", str(wheelhouse), *packages]
    subprocess.run(command, check=True, env=clean_env(), cwd=folder)
    (folder / "function").mkdir()
    return Installed([str(here)], folder / "function")


@pytest.fixture(scope="session", params=[v for v in PYTHONS if find_python(v)])
def installed(request, wheelhouse, tmp_path_factory) -> Installed:
    """The runtime's wheel, on each Python, without the developer's tools: as it is in Lambda."""
    folder = tmp_path_factory.mktemp(f"installed-{request.param}")
    return install(str(find_python(request.param)), wheelhouse, folder, "fastlambda")


@pytest.fixture(scope="session")
def installed_local(wheelhouse, tmp_path_factory) -> Installed:
    """fastlambda[local], as a developer has it."""
    return install(sys.executable, wheelhouse, tmp_path_factory.mktemp("installed-local"), "fastlambda[local]")
