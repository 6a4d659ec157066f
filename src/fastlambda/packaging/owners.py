"""Which package owns which file of what pip has put into a folder; two owners with different bytes are refused.

pip unpacks one package over the other without a word.  So a package could bring a file of fastlambda's, by accident or
on purpose, and every function on the layer would run it.  Promises: what is in the folder is what each package says
that it is; below fastlambda/ there is only fastlambda.
Source: PyPA, "Recording installed projects" (RECORD as pip writes it, paths as they were installed).
"""

import csv
from collections.abc import Iterable
from pathlib import Path

from fastlambda.packaging.errors import PackagingError

# Our two distributions, and the folder that they share.
_OURS = ("fastlambda", "fastlambda_local")
_FOLDER = "fastlambda/"


def check(root: Path) -> None:
    """Looks at what pip has noted about each package.

    Args:
        root: where pip has put them.

    Raises:
        PackagingError: a package has overwritten a file of another one, or meant to.
    """
    owners: dict[str, tuple[str, str]] = {}
    for record in sorted(root.glob("*.dist-info/RECORD")):
        package = record.parent.name.removesuffix(".dist-info")
        for path, digest in _files(record):
            _check_place(path, package)
            other, other_digest = owners.setdefault(path, (package, digest))
            if other != package and (not digest or digest != other_digest):
                raise PackagingError(
                    f"{other} and {package} both bring {path}, and not the same: one would run in the place of the "
                    "other. Leave one out of the requirements"
                )


def check_code(paths: Iterable[str], wrapper: str) -> None:
    """Refuses a function's own files that would take the place of fastlambda's in its package.

    Raises:
        PackagingError: there is one.
    """
    for path in paths:
        if path.startswith(_FOLDER) or path in ("fastlambda", wrapper):
            raise PackagingError(
                f"{path} of the function would take the place of fastlambda's own, which --with-runtime puts there: "
                "rename it"
            )


def _check_place(path: str, package: str) -> None:
    name = package.partition("-")[0]
    top = path.partition("/")[0]
    if path.startswith(_FOLDER) and name not in _OURS:
        raise PackagingError(
            f"{package} brings {path}, a file in the place of fastlambda's own: it is refused. Leave it out of the "
            "requirements"
        )
    if top.endswith(".dist-info") and top != f"{package}.dist-info":
        raise PackagingError(f"{package} brings {path}, which belongs to another package: it is refused")


def _files(record: Path) -> list[tuple[str, str]]:
    """Path and hash of each file that a package has put into the folder."""
    with record.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    return [(row[0], row[1] if len(row) > 1 else "") for row in rows if not row[0].startswith(("../", "/"))]
