"""Makes the zip files: a layer that runs functions on fastlambda, and a function's package.

Owns what goes where in them.  pip finds and unpacks the packages, for the platform of the function and not for the
machine that this runs on.
Source: AWS Lambda, "Packaging your layer content"; PEP 600 for the platform tags.
"""

import fnmatch
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from fastlambda._version import __version__
from fastlambda.packaging import archive, bytecode

ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
WRAPPER = "fastlambda-wrapper"
# Not needed in Lambda: the developer's rooms (they come along when the requirements name fastlambda[local]), the typed
# faces, and what pip notes about where a package came from.
_NOTES_OF_PIP = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
LEFT_OUT = [
    *("fastlambda/local/*", "fastlambda/packaging/*", "fastlambda_local-*.dist-info/*", "fastlambda/_command.py"),
    *("fastlambda/*.pyi", "bin/*", "*.pyc"),
    *(f"*.dist-info/{name}" for name in _NOTES_OF_PIP),
]
# Of a function's folder.
NOT_CODE = [
    *("__pycache__", "*.pyc", "*.egg-info", ".git", ".hg", ".venv", "venv", ".tox", ".DS_Store", ".idea", ".vscode"),
    *(".mypy_cache", ".pytest_cache", ".ruff_cache", ".aws-sam"),
]


class PackagingError(Exception):
    """The zip cannot be made."""


class Options:
    """What both commands are told.

    Attributes:
        pythons: the runtimes' versions, such as ["3.13"].
        arch: "x86_64" or "arm64".
        out: the zip to write.
        requirements: requirements files, for pip.
        find_links: folders or pages with wheels, for pip.
        no_index: take wheels only from find_links.
        interpreter: the Python to compile with; None: one is looked for.
    """

    def __init__(
        self,
        pythons: list[str],
        arch: str,
        out: Path,
        *,
        requirements: list[str] | None = None,
        find_links: list[str] | None = None,
        no_index: bool = False,
        interpreter: str | None = None,
    ) -> None:
        self.pythons = pythons
        self.arch = arch
        self.out = out
        self.requirements = requirements or []
        self.find_links = find_links or []
        self.no_index = no_index
        self.interpreter = interpreter


def platform_tags(python: str, arch: str) -> list[str]:
    """The wheels that a managed runtime can load, newest first.

    Args:
        python: "3.13".
        arch: "x86_64" or "arm64".
    """
    machine = ARCHITECTURES[arch]
    glibc = 26 if _minor(python) <= 11 else 34  # Amazon Linux 2, Amazon Linux 2023
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(glibc, 4, -1)]
    old = ["manylinux2014", "manylinux2010", "manylinux1"] if arch == "x86_64" else ["manylinux2014"]
    return [*tags, *(f"{name}_{machine}" for name in old), f"linux_{machine}"]


def _minor(python: str) -> int:
    major, _, minor = python.partition(".")
    if major != "3" or not minor.isdecimal() or int(minor) < 11:
        raise PackagingError(f"--python {python}: fastlambda runs on 3.11 and newer; write it as 3.13")
    return int(minor)


def install(into: Path, python: str, options: Options, packages: list[str]) -> None:
    """Lets pip put packages into a folder, for the function's platform.

    Raises:
        PackagingError: pip could not.
    """
    tags = [f"--platform={tag}" for tag in platform_tags(python, options.arch)]
    wanted = [*packages, *(word for file in options.requirements for word in ("-r", file))]
    if not wanted:
        return
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-compile"]
    pip += ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *tags, f"--target={into}"]
    pip += [word for place in options.find_links for word in ("--find-links", place)]
    if options.no_index:
        pip.append("--no-index")
    done = subprocess.run([*pip, *wanted], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        where = f"Python {python} on {options.arch}"
        hint = "every package must have a wheel for that platform; --find-links names a folder with your own"
        raise PackagingError(f"pip could not collect the packages for {where} ({hint}):\n{done.stdout.strip()}")
    for path in archive.files_below(into):
        if any(fnmatch.fnmatch(path.as_posix(), pattern) for pattern in LEFT_OUT):
            (into / path).unlink()


def put_wrapper(folder: Path) -> None:
    """The exec wrapper, executable."""
    wrapper = folder / WRAPPER
    shutil.copyfile(Path(__file__).with_name("wrapper.sh"), wrapper)
    wrapper.chmod(0o755)


def compile_for(python: str, folder: Path, mounted: str, options: Options) -> str:
    """Compiles all sources below a folder, if there is such a Python.

    Args:
        python: "3.13".
        folder: what to compile.
        mounted: where the folder will be in Lambda.
        options: see Options.

    Returns:
        A line for the report.
    """
    interpreter = bytecode.find_python(python, options.interpreter)
    if interpreter is None:
        return (
            f"WARNING: no Python {python} on this machine, so nothing is compiled. /opt and /var/task cannot be "
            "written in Lambda: every cold start compiles each module again, which can double it. Install that Python, "
            "or name it with --interpreter"
        )
    files = [(folder / path, f"{mounted}/{path.as_posix()}") for path in archive.files_below(folder)]
    sources = [(path, name) for path, name in files if path.suffix == ".py"]
    failed = bytecode.compile_tree(interpreter, sources)
    done = f"{len(sources) - len(failed)} modules compiled for Python {python} by {interpreter}"
    return done + "".join(f"\n  not compiled: {line}" for line in failed)


def report(root: Path, out: Path, largest: int = 8) -> list[str]:
    """Sizes for the person who deploys it."""
    sizes: dict[str, int] = {}
    for path in archive.files_below(root):
        parts = [p for p in path.parts if not (p in ("python", "lib", "site-packages") or p.startswith("python3."))]
        sizes[parts[0]] = sizes.get(parts[0], 0) + (root / path).stat().st_size
    lines = [f"{size:>12,}  {name}" for name, size in sorted(sizes.items(), key=lambda i: (-i[1], i[0]))[:largest]]
    total, packed = sum(sizes.values()), out.stat().st_size
    share = total / archive.MAX_UNPACKED
    lines.append(f"{total:>12,}  unpacked ({share:.1%} of what a function and its layers may have together)")
    lines.append(f"{packed:>12,}  {out}")
    if packed > archive.MAX_DIRECT:
        lines.append(
            f"WARNING: a zip of over {archive.MAX_DIRECT:,} bytes cannot be uploaded directly, only through S3"
        )
    return lines


def make_layer(options: Options) -> list[str]:
    """A layer: fastlambda, its dependencies, what the requirements name, and the exec wrapper.

    Returns:
        The lines of the report.

    Raises:
        PackagingError: pip could not collect the packages.
        TooLarge: Lambda would refuse it.
    """
    said = []
    with tempfile.TemporaryDirectory() as work:
        root = Path(work)
        for python in options.pythons:
            inside = f"python/lib/python{python}/site-packages"
            (root / inside).mkdir(parents=True)
            install(root / inside, python, options, [f"fastlambda=={__version__}"])
            said.append(compile_for(python, root / inside, f"/opt/{inside}", options))
        put_wrapper(root)
        archive.check_size(archive.unpacked_size(root), "the layer")
        archive.write_zip(root, options.out)
        said = [*report(root, options.out), *said]
    said.append(f"In the function: the layer, and AWS_LAMBDA_EXEC_WRAPPER=/opt/{WRAPPER}")
    return said


def make_package(source: Path, options: Options, *, exclude: list[str], with_runtime: bool) -> list[str]:
    """A function's package: its code, and what the requirements name.

    Args:
        source: a folder, or one .py file.
        options: see Options; one Python only.
        exclude: patterns of names or paths to leave out.
        with_runtime: fastlambda and the exec wrapper too, for a function without the layer.

    Returns:
        The lines of the report.

    Raises:
        PackagingError: there is no such source, or pip could not collect the packages.
        TooLarge: Lambda would refuse it.
    """
    (python,) = options.pythons
    with tempfile.TemporaryDirectory() as work:
        root = Path(work)
        install(root, python, options, [f"fastlambda=={__version__}"] if with_runtime else [])
        copy_code(source, root, [*NOT_CODE, *exclude], options.out)
        if with_runtime:
            put_wrapper(root)
        said = compile_for(python, root, "/var/task", options)
        archive.check_size(archive.unpacked_size(root), "the package")
        archive.write_zip(root, options.out)
        lines = [*report(root, options.out), said]
    if with_runtime:
        lines.append(f"In the function: AWS_LAMBDA_EXEC_WRAPPER=/var/task/{WRAPPER}")
    return lines


def copy_code(source: Path, root: Path, exclude: list[str], out: Path) -> None:
    """The function's own files, over what pip has put there."""
    if source.is_file():
        shutil.copyfile(source, root / source.name)
        return
    if not source.is_dir():
        raise PackagingError(f"{source} is neither a folder nor a file")

    def unwanted(folder: str, names: list[str]) -> set[str]:
        below = Path(folder).relative_to(source)
        return {
            name
            for name in names
            for pattern in exclude
            if fnmatch.fnmatch(name, pattern) or fnmatch.fnmatch((below / name).as_posix(), pattern)
        } | {name for name in names if Path(folder, name).resolve() == out.resolve()}

    shutil.copytree(source, root, ignore=unwanted, dirs_exist_ok=True)
    for path in archive.files_below(root):
        (root / path).chmod(stat.S_IMODE(os.stat(root / path).st_mode) | stat.S_IRUSR | stat.S_IWUSR)
