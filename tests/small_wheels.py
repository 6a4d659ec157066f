"""Wheels of a few bytes, for tests that let pip install something without an index."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    files: Mapping[str, bytes] | None = None,
    scripts: Mapping[str, bytes] | None = None,
    entry_points: str = "",
    tag: str = "py3-none-any",
) -> Path:
    """A wheel with one module of its name, unless told otherwise.

    Args:
        folder: where it goes.
        name: of the distribution, with _ and not -.
        version: of the distribution.
        requires: requirements, with markers.
        requires_python: a version specifier.
        files: name: content; None: NAME.py.
        scripts: name: content of programs.
        entry_points: text of entry_points.txt.
        tag: the wheel's.
    """
    info = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    extras = {requirement.partition("extra == '")[2].partition("'")[0] for requirement in requires}
    lines += [f"Provides-Extra: {extra}" for extra in sorted(extras) if extra]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    held = dict(files) if files is not None else {f"{name}.py": b"NAME = __name__\n"}
    held |= {f"{name}-{version}.data/scripts/{script}": content for script, content in (scripts or {}).items()}
    held[f"{info}/METADATA"] = ("\n".join(lines) + "\n").encode()
    held[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    if entry_points:
        held[f"{info}/entry_points.txt"] = entry_points.encode()
    record = "".join(f"{path},,\n" for path in [*held, f"{info}/RECORD"])
    held[f"{info}/RECORD"] = record.encode()
    path = folder / f"{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for inside, content in held.items():
            member = zipfile.ZipInfo(inside)
            member.external_attr = (0o100755 if ".data/scripts/" in inside else 0o100644) << 16
            wheel.writestr(member, content)
    return path
