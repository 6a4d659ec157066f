"""Brings the Pythons that this machine lacks, and runs the project's checks on them.

  python3 dev.py pythons                             bring 3.14 and 3.15 to .cache/pythons, and say where they are
  python3 dev.py pythons --check 3.15                unit, flow, adversity, isolated and web on 3.15
  python3 dev.py pythons --check 3.15 --check 3.14:differential         what .ci/run does
  python3 dev.py pythons --table                     all checks on 3.11, 3.13, 3.14 and 3.15, into docs/pythons.md

The interpreters are Debian's: debootstrap downloads and verifies the packages of a suite, they are unpacked into a
folder (nothing of them is run or configured, the system stays as it is), and the two programs get that folder's own
loader and C library by patchelf.  So they run as any other program, with this machine's tools around them.  300 MB,
about a minute, once.  Needs root, debootstrap, patchelf and Debian's archive; without these it says what is not run.
"""
# extras: dev

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache/pythons"
PAGE = ROOT / "docs/pythons.md"

BROUGHT = ("3.14", "3.15")
OLDEST, NEWEST = "3.11", "3.15"
# The first suite that has all of them is taken.  unstable is ahead of the coming release.
SUITES = ("sid", "forky")
DOWNLOAD_S, UNPACK_S, INSTALL_S, CHECK_S = 300, 120, 420, 1500
IMPORTS = "import bz2, ctypes, hashlib, lzma, sqlite3, ssl, sys, uuid, zlib; print('%d.%d.%d' % sys.version_info[:3])"

# What `--check` runs, and what the table has besides.  {python}: that Python with the test's packages; {main}: .venv's.
SUITE = ("unit", "flow", "adversity", "isolated", "web")
PYTEST = ["-m", "pytest", "-q", "-p", "no:cacheprovider"]
CHECKS: dict[str, list[str]] = {
    "demo": ["{python}", "-m", "fastlambda.local.cli", "invoke", "examples.hello.handler", '{"name": "world"}'],
    "wheel, without an index, end to end": ["{main}", *PYTEST, "tests/wheel/test_installed.py", "-k", "[{version}"],
    **{name: ["{python}", *PYTEST, f"tests/{name}"] for name in (*SUITE, "differential")},
    "budgets": ["{python}", *PYTEST, "tests/isolated/test_budgets.py"],
    "layer, through AWS's server": ["{python}", *PYTEST, "tests/wheel/test_managed.py"],
}


class NotHere(Exception):
    """The interpreters cannot be brought to this machine; the text says why."""


def say(text: str) -> None:
    print(f"pythons: {text}", file=sys.stderr, flush=True)


# ---- the interpreters ----------------------------------------------------------------------------------------------


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise NotHere(f"{name} is not installed: apt-get install debootstrap patchelf")
    return path


def triplet() -> str:
    return f"{platform.machine()}-linux-gnu"


def run(*command: object, limit_s: float, **options: object) -> str:
    """What a command wrote; bounded in time."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=limit_s, **options)  # type: ignore[call-overload]
    except subprocess.TimeoutExpired:
        raise NotHere(f"{words[0]} took longer than {limit_s:.0f} s") from None
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "without a word").splitlines()[-1]
        raise NotHere(f"{' '.join(words[:3])} ... ended with {done.returncode}: {last[:300]}")
    return str(done.stdout)


def unpack(suite: str) -> None:
    """The packages of a suite, in CACHE/root."""
    work, fresh = CACHE / "packages", CACHE / "root.partial"
    for folder in (work, fresh):
        shutil.rmtree(folder, ignore_errors=True)
    fresh.mkdir(parents=True)
    wanted = [f"python{version}{part}" for version in BROUGHT for part in ("", "-dev", "-venv")]
    say(f"downloading {', '.join(BROUGHT)} from Debian's {suite}")
    options = ["--download-only", "--variant=minbase", f"--include={','.join(wanted)}"]
    run(program("debootstrap"), *options, suite, work, *mirror(), limit_s=DOWNLOAD_S)
    end = time.monotonic() + UNPACK_S
    for package in sorted(work.glob("var/cache/apt/archives/*.deb")):
        run(program("dpkg-deb"), "-x", package, fresh, limit_s=end - time.monotonic())
    shutil.rmtree(work)
    shutil.rmtree(CACHE / "root", ignore_errors=True)
    fresh.rename(CACHE / "root")


def mirror() -> list[str]:
    """Where this machine gets its own Debian packages from; [] when that is not known: debootstrap's default."""
    asked = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True)
    return [uri for uri in asked.stdout.split() if uri.rstrip("/").endswith("/debian")][:1]


def settle() -> dict[str, str]:
    """Ties the interpreters to the loader and the libraries beside them, and asks each for its version."""
    usr = CACHE / "root/usr"
    loaders = sorted((usr / "lib" / triplet()).glob("ld-linux-*.so.*"))
    if not loaders:
        raise NotHere(f"no dynamic loader in {usr}")
    versions = {}
    for version in BROUGHT:
        path = usr / f"bin/python{version}"
        # RPATH, not RUNPATH: it counts for the libraries of the extension modules, too.
        options = ["--set-interpreter", loaders[0], "--force-rpath", "--set-rpath", usr / "lib" / triplet()]
        run(program("patchelf"), *options, path, limit_s=60)
        versions[version] = run(path, "-I", "-c", IMPORTS, limit_s=60).strip()
    return versions


def bring() -> dict[str, str]:
    """Brings the interpreters, once; returns {minor version: full version}.

    Raises:
        NotHere: it cannot be done here.
    """
    mark = CACHE / "ready.json"
    here = str(CACHE)
    if mark.exists():
        known = json.loads(mark.read_text())
        if known["folder"] == here and set(known["versions"]) == set(BROUGHT):
            return dict(known["versions"])
    if sys.platform != "linux" or not Path("/etc/debian_version").exists():
        raise NotHere("this is no Debian")
    if os.geteuid() != 0:
        raise NotHere("debootstrap needs root")
    CACHE.mkdir(parents=True, exist_ok=True)
    started, failures = time.monotonic(), []
    for suite in SUITES:
        try:
            if not (CACHE / "root").exists():  # else: the cache was moved here
                unpack(suite)
            versions = settle()
        except NotHere as exc:
            failures.append(f"{suite}: {exc}")
            shutil.rmtree(CACHE / "root", ignore_errors=True)
            continue
        mark.write_text(json.dumps({"folder": here, "suite": suite, "versions": versions}, indent=1) + "\n")
        say(f"{', '.join(versions.values())} are ready after {time.monotonic() - started:.0f} s")
        return versions
    raise NotHere("; ".join(failures))


def path_of(version: str) -> str | None:
    """A brought interpreter; None: it is not in the cache."""
    path = CACHE / f"root/usr/bin/python{version}"
    return str(path) if (CACHE / "ready.json").exists() and path.exists() else None


def find(version: str) -> str:
    """An interpreter of a minor version: this process's, a brought one, or one of the machine.

    Raises:
        NotHere: there is none.
    """
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    if version in BROUGHT:
        bring()
        return str(path_of(version))
    from fastlambda.packaging.bytecode import find_python

    found = find_python(version)
    if found is None:
        raise NotHere(f"there is no Python {version} on this machine")
    return found


# ---- an environment for the tests ----------------------------------------------------------------------------------


def requirements(extra: str) -> list[str]:
    """What an extra of pyproject.toml asks for, its own extras resolved."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["fastlambda"]["extras"]
    found: list[str] = []
    for wanted in extras[extra]:
        inner = re.fullmatch(r"fastlambda\[([\w,-]+)\]", wanted)
        if inner:
            for name in inner[1].split(","):
                found += requirements(name)
        elif not wanted.startswith("fastlambda"):
            found.append(wanted)
    return found


def environment(version: str) -> Path:
    """A Python with what the tests import, and this tree as it is: `.venv` for the Python that made it.

    The extension is not built again: one file serves every version, which is what the tests are to show.
    """
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return Path(sys.executable)
    interpreter = find(version)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = sorted({*requirements("tests"), *project["dependencies"]})
    state = hashlib.sha256("\n".join([interpreter, *wanted]).encode()).hexdigest()
    folder = CACHE / f"venv-{version}"
    python, mark = folder / "bin/python", folder / "fastlambda-state"
    if not (mark.exists() and mark.read_text() == state):
        say(f"installing what the tests need for {version}")
        shutil.rmtree(folder, ignore_errors=True)
        run(interpreter, "-m", "venv", "--without-pip", folder, limit_s=60)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
        run(*pip, "install", "-q", "--no-input", "--only-binary=:all:", *wanted, limit_s=INSTALL_S)
        mark.write_text(state)
    # The editable installation of .venv, for this one: the folder of the sources, the metadata with the plugin's name.
    own = next(Path(p) for p in sys.path if p.endswith("site-packages"))
    theirs = folder / f"lib/python{version}/site-packages"
    for entry in [*own.glob("__editable__*fastlambda*.pth"), *own.glob("fastlambda*.dist-info")]:
        if entry.is_dir():
            shutil.copytree(entry, theirs / entry.name, dirs_exist_ok=True)
        else:
            shutil.copy(entry, theirs)
    return python


# ---- the checks ----------------------------------------------------------------------------------------------------


def check(name: str, version: str, python: Path) -> tuple[bool, str]:
    """Runs one check; whether it passed, and the last line of its output."""
    names = {"{python}": str(python), "{main}": sys.executable, "[{version}": f"[{version}"}
    words = [names.get(word, word) for word in CHECKS[name]]
    # The scripts of that environment come first, as in an activated one.
    env = os.environ | {"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    say(f"{version}: {name}")
    log = CACHE / f"check-{version}-{re.sub('[^a-z]+', '-', name.lower())}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as out:
        try:
            code = subprocess.run(
                words, cwd=ROOT, env=env, stdout=out, stderr=subprocess.STDOUT, timeout=CHECK_S
            ).returncode
        except subprocess.TimeoutExpired:
            code = f"nothing after {CHECK_S} s"  # type: ignore[assignment]
    said = log.read_text(errors="replace").strip().splitlines()
    if code:
        print("\n".join(said[-60:]), flush=True)
        say(f"{version}: {name} FAILED ({code}); all of it: {log}")
    return not code, (said or [""])[-1]


def versions_of(wanted: Iterable[str]) -> dict[str, Path]:
    """{version: its environment}, without those that this machine cannot have, which are named."""
    found = {}
    for version in wanted:
        try:
            found[version] = environment(version)
        except NotHere as exc:
            say(f"NOT RUN on {version}: {exc}")
    return found


def run_checks(wanted: list[str], names: list[str]) -> int:
    """Runs checks, two at a time; `wanted` are versions, or version:check for one check alone."""
    pythons = versions_of(dict.fromkeys(item.partition(":")[0] for item in wanted))
    jobs = []
    for item in wanted:
        version, _, only = item.partition(":")
        if version in pythons:
            jobs += [(version, name) for name in ([only] if only else names)]

    def one(job: tuple[str, str]) -> bool:
        version, name = job
        passed, last = check(name, version, pythons[version])
        print(f"{version}  {name:36} {'passed' if passed else 'FAILED'}  {last.strip('= ')}", flush=True)
        return passed

    with ThreadPoolExecutor(2) as pool:
        return 0 if all(list(pool.map(one, jobs))) else 1


def table(versions: list[str]) -> int:
    """Runs everything and puts the table into docs/pythons.md, between its marks."""
    pythons = versions_of(versions)
    full = {
        v: run(p, "-c", "import platform; print(platform.python_version())", limit_s=60).strip()
        for v, p in pythons.items()
    }
    rows, failed = [], 0
    for name in CHECKS:
        cells = []
        for version, python in pythons.items():
            passed, last = check(name, version, python)
            failed += not passed
            counted = re.search(r"(\d+) passed", last)
            cells.append((f"{counted[1]} passed" if counted else "passed") if passed else "**failed**")
        rows.append([name, *cells])
    head = [
        f"On {time.strftime('%Y-%m-%d')}, {platform.machine()}, {platform.system()} {platform.release()}",
        *full.values(),
    ]
    lines = [" | ".join(["", *row, ""]).strip() for row in [head, ["---"] * len(head), *rows]]
    start, end = "<!-- table -->", "<!-- end of table -->"
    before, _, rest = PAGE.read_text().partition(start)
    PAGE.write_text("\n".join([before + start, *lines, end]) + rest.partition(end)[2])
    print("\n".join(lines))
    return 1 if failed else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py pythons", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--check", metavar="VERSION", action="append", help="run checks on this Python; may be repeated"
    )
    parser.add_argument(
        "--only", choices=list(CHECKS), action="append", help=f"this check (default: {', '.join(SUITE)})"
    )
    parser.add_argument("--table", action="store_true", help="run every check and write the table in docs/pythons.md")
    args = parser.parse_args()
    if args.table:
        return table(args.check or ["3.11", "3.13", "3.14", "3.15"])
    if args.check:
        return run_checks(args.check, args.only or list(SUITE))
    try:
        for version in bring():
            print(path_of(version))
    except NotHere as exc:
        say(f"{' and '.join(BROUGHT)} are NOT here, and nothing runs on them: {exc}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
