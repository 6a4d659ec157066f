"""Where fastlambda's own wheels are when this runs from a clone of its repository.

A clone's version is on no index, or worse, another tree has the same one.  So its wheelhouse is used, and nothing else.
"""

import zipfile
from pathlib import Path

from fastlambda._version import __version__
from fastlambda.packaging.collect import Sources
from fastlambda.packaging.errors import PackagingError
from fastlambda.packaging.target import Target

PACKAGE = Path(__file__).resolve().parent.parent


def root() -> Path | None:
    """The clone's folder; None: this is an installed fastlambda."""
    folder = PACKAGE.parent.parent
    return folder if (folder / "tools/wheelhouse.py").is_file() and (folder / "dev.py").is_file() else None


def with_wheelhouse(sources: Sources, targets: list[Target], packages: list[str]) -> tuple[Sources, list[str]]:
    """Adds the clone's wheelhouse to the places where pip looks, unless others are named.

    Args:
        sources: see Sources.
        targets: what wheels are needed for.
        packages: what is installed beside the runtime; without any, no index is asked.

    Returns:
        The sources, and lines for the report.

    Raises:
        PackagingError: the wheelhouse has no wheel for a target.
    """
    folder = root()
    if folder is None or sources.find_links or sources.no_index:
        return sources, []
    wheelhouse = folder / "wheelhouse"
    said = []
    for target in targets:
        wheels = sorted(wheelhouse.glob(f"fastlambda-{__version__}-*manylinux*_{target.machine}.whl"))
        if not wheels:
            raise PackagingError(
                f"this fastlambda runs from a clone, {folder}, whose wheelhouse/ has no wheel for {target.arch}. Type: "
                f"(cd {folder} && python3 dev.py wheelhouse{_option_for(target)}); or name a folder with --find-links"
            )
        if _is_stale(wheels[0], folder):
            said.append(
                f"WARNING: {wheels[0]} is not of the sources as they are now. Type: (cd {folder} && python3 dev.py "
                f"wheelhouse{_option_for(target)})"
            )
    alone = not (sources.requirements or packages)
    return Sources(sources.requirements, [str(wheelhouse)], no_index=alone), [*dict.fromkeys(said)]


def _option_for(target: Target) -> str:
    return "" if target.is_here() else " --all"


def _is_stale(wheel: Path, folder: Path) -> bool:
    """Whether the clone's Python files are others, or its compiled ones are newer."""
    source = folder / "src/fastlambda"
    with zipfile.ZipFile(wheel) as packed:
        held = {name: packed.read(name) for name in packed.namelist() if name.endswith((".py", ".pyi"))}
    tools = (source / "local", source / "packaging")  # another wheel's
    paths = [path for path in source.rglob("*.py*") if path.suffix in (".py", ".pyi")]
    there = {
        path.relative_to(folder / "src").as_posix(): path.read_bytes()
        for path in paths
        if not any(path.is_relative_to(room) for room in tools)
    }
    if held != there:
        return True
    compiled = [*source.glob("_core.p*"), *source.glob("_cython/*"), *source.glob("_native/*.[ch]")]
    return any(path.stat().st_mtime > wheel.stat().st_mtime for path in compiled)
