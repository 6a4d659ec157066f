"""Makes the zip files: a layer that runs functions on fastlambda, and a function's package.

Owns what goes where in them, and the report.  Promises: a zip is there whole or not at all, and nothing else is.
Source: AWS Lambda, "Packaging your layer content".
"""

import shutil
from pathlib import Path

from fastlambda._version import __version__
from fastlambda.packaging import archive, bytecode, clone, collect, ending, native, needs, owners, sbom, tree
from fastlambda.packaging.errors import BadArgument, PackagingError
from fastlambda.packaging.rules import Rules
from fastlambda.packaging.target import Target

WRAPPER = "fastlambda-wrapper"
# What the runtime uses when it is there.  Its own metadata names it only for Pythons that it has wheels for.
ORJSON = "orjson>=3.10,<4"


class Options:
    """What both commands are told.

    Attributes:
        targets: the runtimes, all of one architecture.
        out: the zip to write.
        sources: where packages come from.
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
        """
        Raises:
            BadArgument: there is no such runtime, or no such file.
        """
        self.targets = [Target(python, arch) for python in pythons]
        self.out = out
        self.sources = collect.Sources(requirements, find_links, no_index)
        self.interpreter = interpreter
        for file in self.sources.requirements:
            if "://" not in file and not Path(file).is_file():
                raise BadArgument(f"-r {file}: there is no such file")
        if not out.absolute().parent.is_dir():
            raise BadArgument(f"-o {out}: there is no folder {out.absolute().parent}")
        if out.is_dir():
            raise BadArgument(f"-o {out}: that is a folder; name the zip")
        if interpreter is not None:
            bytecode.find_python(self.targets[0].python, interpreter)


def install_runtime(into: Path, target: Target, sources: collect.Sources, packages: list[str]) -> list[str]:
    """fastlambda and more packages, and orjson where it has a wheel for the target.

    Returns:
        Lines for the report.

    Raises:
        PackagingError: pip could not collect the packages.
    """
    runtime = [f"fastlambda=={__version__}", *packages]
    try:
        return collect.install(into, target, sources, [*runtime, ORJSON])
    except PackagingError as exc:
        if "orjson" not in str(exc):
            raise
    lines = collect.install(into, target, sources, runtime)
    return [
        *lines,
        f"LEFT OUT: orjson, which has no wheel for {target} where pip looked. Functions run without it; large JSON is "
        "read about 1.8 and written about 4.8 times slower than with it (docs/json.md)",
    ]


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
    sources = [(path, name) for path, name in files if path.suffix == ".py" and not path.is_symlink()]
    failed = bytecode.compile_tree(interpreter, sources)
    done = f"{len(sources) - len(failed)} modules compiled for Python {python} by {interpreter}"
    return done + "".join(f"\n  not compiled: {line}" for line in failed)


def report(root: Path, out: Path, largest: int = 8) -> list[str]:
    """Sizes for the person who deploys it."""
    sizes: dict[str, int] = {}
    for path in archive.files_below(root):
        parts = [p for p in path.parts if not (p in ("python", "lib", "site-packages") or p.startswith("python3."))]
        sizes[parts[0]] = sizes.get(parts[0], 0) + (root / path).lstat().st_size
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


def _inside(target: Target) -> str:
    """Where the packages of a runtime are in a layer."""
    return f"python/lib/python{target.python}/site-packages"


def make_layer(options: Options) -> list[str]:
    """A layer: fastlambda, its dependencies, what the requirements name, and the exec wrapper.

    Returns:
        The lines of the report.

    Raises:
        PackagingError: pip could not collect the packages.
        TooLarge: Lambda would refuse it.
    """
    sources, said = clone.with_wheelhouse(options.sources, options.targets, [])
    with ending.workshop() as work:
        root = work / "layer"
        for target in options.targets:
            inside = _inside(target)
            (root / inside).mkdir(parents=True)
            said += install_runtime(root / inside, target, sources, [])
            said.append(compile_for(target.python, root / inside, f"/opt/{inside}", options))
        put_wrapper(root)
        sbom.put(root, [root / _inside(target) for target in options.targets], __version__)
        archive.check_size(archive.unpacked_size(root), "the layer")
        archive.write_zip(root, options.out)
        said = [*report(root, options.out), *dict.fromkeys(said)]
    said.append(f"{sbom.NAME} in it names its packages and their versions (CycloneDX)")
    said.append(f"In the function: the layer, and AWS_LAMBDA_EXEC_WRAPPER=/opt/{WRAPPER}")
    return said


def make_package(
    source: Path,
    options: Options,
    *,
    exclude: list[str],
    with_runtime: bool,
    include: list[str] | None = None,
    with_needs: bool = True,
) -> list[str]:
    """A function's package: its code, and what the requirements name.

    Args:
        source: a folder, or one .py file.
        options: see Options; one Python only.
        exclude: patterns of names or paths to leave out.
        with_runtime: fastlambda and the exec wrapper too, for a function without the layer.
        include: patterns of names or paths to pack though they look like secrets or no code.
        with_needs: what the folder itself says that it needs, too, when options name no requirements.

    Returns:
        The lines of the report.

    Raises:
        BadArgument: there is no such source, or it names packages in a form that is not read.
        PackagingError: a file cannot be packed, or pip could not collect the packages.
        TooLarge: Lambda would refuse it.
    """
    (target,) = options.targets
    code = None if source.is_file() else tree.look(source, Rules(include or [], exclude), options.out)
    said, packages, sources = [], [], options.sources
    if with_needs and not sources.requirements:
        found = needs.of(source)
        said, packages = found.said, found.packages
        sources = collect.Sources(found.files, sources.find_links, sources.no_index)
    if with_runtime:
        sources, warned = clone.with_wheelhouse(sources, [target], packages)
        said += warned
    if with_runtime:
        own = [source.name] if code is None else [path.as_posix() for path in (*code.files, *dict(code.links))]
        owners.check_code(own, WRAPPER)
    with ending.workshop() as work:
        root = work / "package"
        root.mkdir()
        install = install_runtime if with_runtime else collect.install
        said += install(root, target, sources, packages)
        if code is None:
            archive.check_size(source.stat().st_size, str(source))
            shutil.copyfile(source, root / source.name)
        else:
            code.copy(root)
            said += code.report()
        if with_runtime:
            put_wrapper(root)
        said += native.strangers(root, target)
        said.append(compile_for(target.python, root, "/var/task", options))
        archive.check_size(archive.unpacked_size(root), "the package")
        archive.write_zip(root, options.out)
        lines = [*report(root, options.out), *said]
    if with_runtime:
        lines.append(f"In the function: AWS_LAMBDA_EXEC_WRAPPER=/var/task/{WRAPPER}")
    return lines
