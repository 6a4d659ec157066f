"""Finds extension modules that the function's runtime cannot load.

Knows the head of an ELF file and the tags in modules' names, and nothing else.
Source: System V ABI, "ELF Header"; PEP 3149.
"""

import re
from pathlib import Path

from fastlambda.packaging import archive
from fastlambda.packaging.report import named
from fastlambda.packaging.target import Target

_MACHINES = {62: "x86_64", 183: "aarch64"}
_TAG = re.compile(r"\.cpython-3(\d+)[a-z]*-")


def strangers(root: Path, target: Target) -> list[str]:
    """Lines about shared objects below a folder that are for another machine or another Python."""
    machine, python = [], []
    for path in archive.files_below(root):
        if not (path.suffix == ".so" or ".so." in path.name) or (root / path).is_symlink():
            continue
        with (root / path).open("rb") as file:
            head = file.read(20)
        if head[:4] == b"\x7fELF" and _MACHINES.get(int.from_bytes(head[18:20], "little")) != target.machine:
            machine.append(path.as_posix())
            continue
        tag = _TAG.search(path.name)
        if tag and f"3.{tag[1]}" != target.python:
            python.append(path.as_posix())
    lines = []
    if machine:
        lines.append(named(f"WARNING: not for {target.arch}, so they do not load:", machine))
    if python:
        lines.append(named(f"WARNING: not for Python {target.python}, so it does not find them:", python))
    return lines
