"""locks/ has all that dev.py installs: one version each, with hashes, as pyproject.toml wants it."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support import ROOT

TOOL = runpy.run_path(str(ROOT / "tools/lock.py"))
DEV = runpy.run_path(str(ROOT / "dev.py"))
NAMES = TOOL["NAMES"]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==([^\s;]+)(?: ; ([^\\]+))? \\$")


def pinned(name: str) -> dict[str, set[str]]:
    """The versions of each package in a lock; several, when markers say which Python gets which."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / f"locks/{name}.txt").read_text().splitlines():
        if match := PINNED.match(line):
            found.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_lock_has_what_is_wanted(name: str) -> None:
    found = pinned(name)
    for line in TOOL["requirements"](name):
        wanted = Requirement(line)
        versions = found.get(canonicalize_name(wanted.name))
        assert versions, f"locks/{name}.txt lacks {line}: python3 dev.py lock"
        # Which of several is for whom, markers say.
        assert any(wanted.specifier.contains(version, prereleases=True) for version in versions), (
            f"locks/{name}.txt has {wanted.name} {sorted(versions)}, and {line} is wanted: python3 dev.py lock"
        )


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_a_version_or_a_hash_of_it(name: str) -> None:
    has_hash = True
    for line in (ROOT / f"locks/{name}.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        if PINNED.match(line):
            assert has_hash, f"before {line}"
            has_hash = False
        else:
            assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line), line
            has_hash = True
    assert has_hash


def test_a_package_has_the_same_versions_everywhere() -> None:
    first = pinned(NAMES[0])
    for name in NAMES[1:]:
        for package, versions in pinned(name).items():
            assert package not in first or versions <= first[package], f"{package} in locks/{name}.txt"


def test_all_that_is_installed_has_a_lock() -> None:
    extras = {*DEV["EXTRAS"].values(), *map(DEV["extras_of"], (ROOT / "tools").glob("*.py"))}
    for one in extras:
        for lock in DEV["locks"](one):
            assert Path(lock).exists(), lock
