"""Writes locks/: for each set of extras that dev.py installs, all packages with versions and hashes.

Owns nothing but those files.  Promises: one version of a package in all of them; every Python from 3.11 and every
platform is in each (markers say what is for whom); pip installs them with --require-hashes, and auditors read them.

  python3 dev.py lock             adds what is missing, takes away what is no longer wanted; other versions stay
  python3 dev.py lock --upgrade   the newest versions that pyproject.toml allows
"""
# extras: lock

import argparse
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
# What dev.py and the tools install; the first one is resolved first, the others take its versions.
NAMES = ("dev", "bench", "docs", "wheels", "local", "lock")
HEADER = """\
# Made by `python3 dev.py lock` from pyproject.toml and packages/local/pyproject.toml: do not edit.
# Install: pip install --require-hashes -r {name}.txt    Audit: pip-audit --require-hashes --disable-pip -r {name}.txt
"""


def requirements(name: str) -> list[str]:
    """What a set of extras needs, ours aside, with what builds both distributions without an isolated environment."""
    wanted = {"pip"}
    for path in (ROOT / "pyproject.toml", ROOT / "packages/local/pyproject.toml"):
        found = tomllib.loads(path.read_text())
        wanted |= {*found["build-system"]["requires"], *found["project"].get("dependencies", ())}
        wanted |= set(expanded(name, found)) if path.parent == ROOT else set()
    return sorted(wanted)


def expanded(name: str, project: dict) -> list[str]:
    """The requirements of an extra, those of the extras that it names included."""
    out = []
    for line in project["tool"]["fastlambda"]["extras"][name]:
        ours = re.match(r"fastlambda(?:-local)?(?:\[([\w,-]+)\])?", line)
        if ours is None:
            out.append(line)
        for other in (ours[1] or "").split(",") if ours else ():
            out += expanded(other, project) if other else []
    return out


def resolve(name: str, constraints: list[Path], *, upgrade: bool) -> None:
    """Writes one lock."""
    path = LOCKS / f"{name}.txt"
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder, "wanted.in")
        wanted.write_text("\n".join(requirements(name)) + "\n")
        command = [sys.executable, "-m", "uv", "pip", "compile", "-q", "--universal", "--python-version", "3.11"]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "-o", str(path)]
        command += ["--upgrade"] if upgrade else []
        command += [word for one in constraints for word in ("-c", str(one))]
        subprocess.run([*command, str(wanted)], check=True, cwd=folder)
    text = "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("#"))
    path.write_text(HEADER.format(name=name) + text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="dev.py lock", description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    args = parser.parse_args()
    LOCKS.mkdir(exist_ok=True)
    for name in NAMES:
        resolve(name, [] if name == NAMES[0] else [LOCKS / f"{NAMES[0]}.txt"], upgrade=args.upgrade)
        print(f"{sum('==' in line for line in (LOCKS / f'{name}.txt').open()):>4} packages  locks/{name}.txt")


if __name__ == "__main__":
    main()
