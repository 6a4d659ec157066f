#!/usr/bin/env python3
"""Sets up a virtual environment and runs one thing in it: nothing else has to be installed first.

  python3 dev.py demo        build, then invoke a function of examples/ on this machine and print its answer
  python3 dev.py test        build, then run the tests: ten minutes (arguments go to pytest)
  python3 dev.py wheelhouse  this machine's wheels and all they need, into wheelhouse/ (--all: for the others, too)
  python3 dev.py lint        format, lint and types
  python3 dev.py bench       the benchmark (--help for its options)
  python3 dev.py counts      what a start and an invocation cost in instructions, system calls, files (--help)
  python3 dev.py docs        build the documentation into site/; --serve shows it and follows edits
  python3 dev.py NAME        run tools/NAME.py: wheelhouse, fuzz, soak, sanitize, ...

Needs Python 3.11 or newer, a C compiler and access to a package index. Everything goes to .venv/ and .cache/.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCAL = ROOT / "packages/local"
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"

# What each command needs beyond the package itself; a tool may name its own in a line `# extras: a,b`.
EXTRAS = {"demo": "local", "test": "dev", "lint": "dev", "bench": "bench", "counts": "bench", "docs": "docs"}
DEMO = ["invoke", "examples.hello.handler", '{"name": "world"}']


def say(text: str) -> None:
    print(f"-- {text}", file=sys.stderr, flush=True)


def run(*command: str | Path, **options: object) -> int:
    return subprocess.run([str(part) for part in command], cwd=ROOT, **options).returncode  # type: ignore[call-overload]


def must(*command: str | Path) -> None:
    code = run(*command)
    if code:
        sys.exit(f"dev.py: {' '.join(str(part) for part in command)} ended with {code}")


def projects() -> list[Path]:
    """What defines the two distributions: the runtime's, and that of the tools for the developer's machine."""
    return [folder / name for folder in (ROOT, LOCAL) for name in ("pyproject.toml", "setup.py")]


def locks(extras: str) -> list[Path]:
    """The versions and hashes of all that the extras need; `dev.py lock` writes them."""
    return [ROOT / f"locks/{name}.txt" for name in extras.split(",")]


def state_of(extras: str) -> str:
    """Changes when what is installed has to change."""
    seen = hashlib.sha256(f"{extras} {sys.version}".encode())
    sources = [*projects(), *sorted((ROOT / "src/fastlambda/_native").glob("*"))]
    core = [*(ROOT / "src/fastlambda").glob("_core.p*"), *(ROOT / "src/fastlambda/_cython").glob("*.pxi")]
    for path in [*sources, *sorted(core), *locks(extras)]:
        seen.update(path.read_bytes())
    for name, value in sorted(os.environ.items()):
        if name.startswith(("FASTLAMBDA_BUILD", "FASTLAMBDA_SANITIZE")):
            seen.update(f"{name}={value}".encode())
    return seen.hexdigest()


def prepare(extras: str) -> None:
    """A virtual environment with both distributions, editable, and extras; does nothing when that stands already."""
    mark = VENV / f"fastlambda-{extras.replace(',', '-')}"
    state = state_of(extras)
    if mark.exists() and mark.read_text() == state and (ROOT / "src/fastlambda/_core.abi3.so").exists():
        return
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if not shutil.which(compiler):
        sys.exit(
            f"dev.py: a C compiler is needed, and {compiler!r} is not on PATH; on Debian: apt-get install gcc libc6-dev"
        )
    if not PYTHON.exists():
        say("making .venv")
        venv.create(VENV, with_pip=True, clear=True)
    say(f"installing fastlambda[{extras}] and building its extension")
    locked = [word for lock in locks(extras) for word in ("-r", lock)]
    must(PYTHON, "-m", "pip", "install", "-q", "--require-hashes", *locked)
    # What builds them is in the lock, too.
    must(PYTHON, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "-e", ".", "-e", LOCAL)
    mark.write_text(state)


def extras_of(tool: Path) -> str:
    for line in tool.read_text().splitlines():
        if line.startswith("# extras:"):
            return line.partition(":")[2].strip()
    return "dev"


def lint(python: Path) -> int:
    checks = (
        ["-m", "ruff", "format", "--check", "."],
        ["-m", "ruff", "check", "."],
        ["-m", "mypy"],
        ["-m", "pyright", "--warnings", "tests/surface/typing_user.py"],
    )
    return max(run(python, *check) for check in checks)


def docs(*arguments: str) -> int:
    """The site, with the newest plots of the benchmark in it."""
    plots = ROOT / "docs/assets/plots"
    plots.mkdir(parents=True, exist_ok=True)
    for kind in ("cold", "warm", "volume"):
        newest = max((ROOT / "bench/results").glob(f"*-{kind}.svg"))
        (plots / f"{kind}.svg").write_bytes(newest.read_bytes())
    if arguments[:1] == ("--serve",):
        return run(VENV / "bin/zensical", "serve", *arguments[1:])
    # Every page anew, so that a warning is seen each time; --clean would take all of .cache/ away, others' too.
    for page in (ROOT / ".cache").glob("[0-9]*"):
        if page.is_file():
            page.unlink()
    shutil.rmtree(ROOT / "site", ignore_errors=True)
    return run(VENV / "bin/zensical", "build", "--strict", *arguments)


def main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    if sys.version_info < (3, 11):  # noqa: UP036  this file is what an old interpreter is started with
        sys.exit(f"dev.py: Python 3.11 or newer is needed, this is {sys.version.split()[0]}")
    name, rest = argv[0], argv[1:]
    tool = ROOT / "tools" / f"{name}.py"
    if name not in EXTRAS and not tool.exists():
        sys.exit(f"dev.py: there is no {name!r}\n{__doc__}")
    prepare(EXTRAS.get(name) or extras_of(tool))
    if name == "demo":
        return run(PYTHON, "-m", "fastlambda.local.cli", *(rest or DEMO))
    if name == "test":
        if not rest:
            say("all tests: about ten minutes on two cores; name files to run fewer")
        return run(PYTHON, "-m", "pytest", *rest)
    if name == "lint":
        return lint(PYTHON)
    if name == "bench":
        return run(PYTHON, "bench/run.py", *rest)
    if name == "counts":
        return run(PYTHON, "bench/counts.py", *rest)
    if name == "docs":
        return docs(*rest)
    return run(PYTHON, tool, *rest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
