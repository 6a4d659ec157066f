"""Compiles the .py files of a package for the Python that will run them.

Promises: files that this Python never checks against their source (unchecked-hash .pyc, PEP 552), which is what a zip
for Lambda needs: unpacking sets the times anew, so an ordinary .pyc would be stale, /opt and /var/task cannot be
written, and each cold start would compile everything again.
"""

import glob
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from fastlambda.packaging.errors import BadArgument, PackagingError

# Runs in the target's Python: source files and the names that they will have in Lambda come on stdin.
_COMPILE = """
import json, py_compile, sys
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
failed = []
for source, name in json.load(sys.stdin):
    try:
        py_compile.compile(source, dfile=name, doraise=True, invalidation_mode=unchecked)
    except (py_compile.PyCompileError, ValueError) as exc:
        failed.append(f"{name}: {exc}".splitlines()[0])
json.dump(failed, sys.stdout)
"""


def find_python(version: str, given: str | None = None) -> str | None:
    """An interpreter of one minor version on this machine.

    Args:
        version: "3.13".
        given: the interpreter that the user named, if any.

    Returns:
        Its path; None when there is none.

    Raises:
        BadArgument: the given one is of another version, or does not run.
    """
    if given is not None:
        if _version_of(given) != version:
            raise BadArgument(f"--interpreter {given} is not a Python {version}")
        return given
    pyenv = os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv")
    candidates = [
        sys.executable,
        shutil.which(f"python{version}"),
        *sorted(glob.glob(f"{pyenv}/versions/{version}.*/bin/python{version}")),
        *sorted(glob.glob(os.path.expanduser(f"~/.local/share/uv/python/cpython-{version}.*/bin/python{version}"))),
    ]
    return next((path for path in candidates if path and _version_of(path) == version), None)


def _environment() -> dict[str, str]:
    """The order of a hash must not show in the .pyc, nor the caller's settings decide whether there is one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return kept | {"PYTHONHASHSEED": "0"}


def _version_of(python: str) -> str | None:
    """ "3.13" for an interpreter, None for what is none or does not run (a version manager's shim, say)."""
    show = "import sys; print('%d.%d' % sys.version_info[:2] * (sys.implementation.name == 'cpython'))"
    try:
        done = subprocess.run([python, "-I", "-S", "-c", show], capture_output=True, text=True, timeout=60)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def compile_tree(python: str, files: list[tuple[Path, str]]) -> list[str]:
    """Writes a .pyc for each file, in `__pycache__` beside it.

    Args:
        python: the interpreter whose bytecode is wanted.
        files: each source, and the name that it has in Lambda (tracebacks show it).

    Returns:
        A line for each file that could not be compiled.

    Raises:
        PackagingError: the interpreter failed.
    """
    jobs = json.dumps([(str(source), name) for source, name in files])
    done = subprocess.run(
        # -P: the current folder's json.py is not for us.
        [python, "-P", "-S", "-c", _COMPILE],
        input=jobs,
        capture_output=True,
        text=True,
        env=_environment(),
    )
    if done.returncode:
        raise PackagingError(f"{python} failed to compile: {done.stderr[-2000:]}")
    failed: list[str] = json.loads(done.stdout)
    return failed
