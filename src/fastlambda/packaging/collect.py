"""Lets pip put packages into a folder, for the Python and the machine of the function.

Owns what of them does not belong in Lambda.  Promises: nothing is left out without a line in the report; nothing of
pip's is left behind, however this ends.
"""

import configparser
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from fastlambda.packaging import archive, owners
from fastlambda.packaging.errors import PackagingError
from fastlambda.packaging.pip_for_target import NOT_LISTENING
from fastlambda.packaging.report import named
from fastlambda.packaging.target import Target

# The developer's rooms, which come along when the requirements name fastlambda[local], and the typed faces.
_ROOMS = ("fastlambda/local/", "fastlambda/packaging/", "fastlambda/testing/")
_TOOLS = (*_ROOMS, "fastlambda_local-", "fastlambda/_command.py")
# What pip notes about where a package came from: other bytes on other machines.
_NOTES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


class Sources:
    """Where pip finds packages.

    Attributes:
        requirements: requirements files.
        find_links: folders or pages with wheels.
        no_index: take wheels only from find_links.
    """

    def __init__(
        self, requirements: list[str] | None = None, find_links: list[str] | None = None, no_index: bool = False
    ) -> None:
        self.requirements = requirements or []
        self.find_links = find_links or []
        self.no_index = no_index


def install(into: Path, target: Target, sources: Sources, packages: list[str]) -> list[str]:
    """Puts packages and all they need into a folder.

    Args:
        into: an empty folder.
        target: what they have to run on.
        sources: see Sources; its requirements are installed, too.
        packages: more of them.

    Returns:
        Lines for the report.

    Raises:
        PackagingError: pip could not, or a package overwrites a file of another one.
    """
    files = [word for file in sources.requirements for word in ("-r", file)]
    if packages and any(_has_hashes(file) for file in sources.requirements):
        # pip wants hashes of all or of none.
        _run_pip(into, target, sources, files)
        _run_pip(into, target, sources, packages)
        _refuse_two_versions(into)
    elif packages or files:
        _run_pip(into, target, sources, [*packages, *files])
    owners.check(into)
    return _leave_out(into)


def _has_hashes(file: str) -> bool:
    return os.path.isfile(file) and "--hash" in Path(file).read_text("utf-8", "replace")


def _refuse_two_versions(root: Path) -> None:
    """After two runs of pip, of which the second leaves alone what the first has put there."""
    versions: dict[str, str] = {}
    for path in sorted(root.glob("*.dist-info")):
        name, _, version = path.name.removesuffix(".dist-info").rpartition("-")
        other = versions.setdefault(name, version)
        if other != version:
            raise PackagingError(
                f"the requirements, which have hashes, bring another {name} than fastlambda: {other} and {version}"
            )


def _run_pip(into: Path, target: Target, sources: Sources, wanted: list[str]) -> None:
    pip = [sys.executable, "-P", str(Path(__file__).with_name("pip_for_target.py")), json.dumps(target.markers())]
    pip += ["--disable-pip-version-check", "--no-input", "install", "-q", "--no-user", "--no-compile"]
    pip += ["--only-binary=:all:", "--implementation=cp", f"--python-version={target.full_version}", f"--target={into}"]
    pip += [f"--platform={tag}" for tag in target.platform_tags()]
    pip += [word for place in sources.find_links for word in ("--find-links", place)]
    if sources.no_index:
        pip.append("--no-index")
    # pip's own temporary files, in a folder that goes away with ours.
    scratch = into.with_name(into.name + ".pip")
    scratch.mkdir(exist_ok=True)
    status, said = _run([*pip, *wanted], os.environ | {"TMPDIR": str(scratch)})
    if status == NOT_LISTENING:
        raise PackagingError(
            f"this pip cannot be told about {target}; install another one: "
            f"{shlex.quote(sys.executable)} -m pip install --upgrade pip"
        )
    if "No module named 'pip'" in said:
        raise PackagingError(
            f"there is no pip for {sys.executable}, and it collects the packages: "
            f"{shlex.quote(sys.executable)} -m ensurepip, or uv pip install pip"
        )
    if status:
        hint = "every package must have a wheel for that; --find-links names a folder with your own"
        raise PackagingError(f"pip could not collect the packages for {target} ({hint}):\n{said.strip()}")


def _run(command: list[str], env: dict[str, str]) -> tuple[int, str]:
    """Runs it in a session of its own, so that all it started ends with it when this process is interrupted."""
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=env,
        stdin=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        said, _ = child.communicate()
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    return child.returncode, said


def _leave_out(root: Path) -> list[str]:
    """Takes away what does not belong in Lambda and says so."""
    scripts, tools, notes, cached = [], [], [], []
    generated = _console_scripts(root)
    for path in archive.files_below(root):
        name = path.as_posix()
        if name.startswith(_TOOLS) or (name.startswith("fastlambda/") and name.endswith(".pyi")):
            tools.append(name)
        elif len(path.parts) == 2 and path.parts[0].endswith(".dist-info") and path.name in _NOTES:
            notes.append(name)
        elif "__pycache__" in path.parts:
            cached.append(name)
        elif path.parts[0] == "bin" and (path.name in generated or _starts_this_python(root / path)):
            scripts.append(name)
        else:
            continue
        (root / path).unlink()
    archive.remove_empty_folders(root)
    lines = []
    if scripts:
        lines.append(named("left out, scripts that start the Python of this machine:", scripts))
    if cached:
        lines.append(named("left out, bytecode in __pycache__ that packages bring:", cached))
    if tools:
        lines.append("left out, of fastlambda: stubs, and tools for your own machine")
    if notes:
        n_packages = len({name.partition("/")[0] for name in notes})
        lines.append(f"left out, pip's notes ({', '.join(_NOTES)}) of {n_packages} packages")
    return lines


def _console_scripts(root: Path) -> set[str]:
    """The names of the programs that pip writes by itself, out of packages' metadata."""
    found: set[str] = set()
    for path in root.glob("*.dist-info/entry_points.txt"):
        parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        try:
            parser.read_string(path.read_text("utf-8"))
        except (configparser.Error, UnicodeDecodeError):
            continue
        for section in ("console_scripts", "gui_scripts"):
            if parser.has_section(section):
                found |= set(parser[section])
    return found


def _starts_this_python(path: Path) -> bool:
    """Whether pip wrote this machine's interpreter into a script."""
    with path.open("rb") as file:
        head = file.read(1024)
    return head.startswith(b"#!") and os.fsencode(sys.executable) in head
