"""What a function's folder says that it needs: requirements.txt, pyproject.toml, lock files.

Owns which of them is used, and what to type for those that are not.  Promises: a folder that names packages is never
packed without them, unless that was asked for.
"""

import shlex
import tomllib
from pathlib import Path

from fastlambda.packaging.errors import BadArgument

# Lock file: the command, to be run in its folder, that makes a requirements.txt of it.
LOCKS = {
    "uv.lock": "uv export --frozen --no-dev --no-emit-project -o requirements.txt",
    "poetry.lock": "poetry export -o requirements.txt  (needs: poetry self add poetry-plugin-export)",
    "pdm.lock": "pdm export --prod -o requirements.txt",
    "Pipfile.lock": "pipenv requirements > requirements.txt",
}


class Needs:
    """What is installed for a function.

    Attributes:
        files: requirements files.
        packages: requirements.
        said: lines for the report.
    """

    def __init__(self, files: list[str], packages: list[str], said: list[str]) -> None:
        self.files = files
        self.packages = packages
        self.said = said


def of(source: Path) -> Needs:
    """Looks at a function's folder.

    Raises:
        BadArgument: it names packages in a form that pip does not read.
    """
    if not source.is_dir():
        return Needs([], [], [])
    locks = [name for name in LOCKS if (source / name).exists()]
    pylocks = sorted(path.name for path in source.glob("pylock*.toml"))
    requirements = source / "requirements.txt"
    if requirements.exists():
        aside = f"; {', '.join([*locks, *pylocks])} not used" if locks or pylocks else ""
        return Needs(
            [str(requirements)], [], [f"packages as in {requirements} (--no-requirements: without them){aside}"]
        )
    folder = shlex.quote(str(source))
    without = "--no-requirements packs the folder without them, for a function whose layer brings them"
    if locks:
        raise BadArgument(
            f"{source} has {locks[0]} and no requirements.txt. Type: (cd {folder} && {LOCKS[locks[0]]}), then package "
            f"again; {without}"
        )
    if pylocks:
        raise BadArgument(
            f"{source} has {pylocks[0]} and no requirements.txt. Type: -r {shlex.quote(str(source / pylocks[0]))} (for "
            f"a pip that reads it: 26 does); {without}"
        )
    project = source / "pyproject.toml"
    if not project.exists():
        return Needs([], [], [])
    try:
        document = tomllib.loads(project.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise BadArgument(f"{project} cannot be read: {exc}; {without}") from None
    declared = document.get("project", {})
    packages = declared.get("dependencies", [])
    if "dependencies" in declared.get("dynamic", []):
        raise BadArgument(
            f"{project} says that its dependencies are dynamic. Type: pip-compile or uv pip compile {project} -o "
            f"{requirements}, then package again; {without}"
        )
    poetry = document.get("tool", {}).get("poetry", {}).get("dependencies", {})
    if not packages and set(poetry) - {"python"}:
        raise BadArgument(
            f"{project} names packages for Poetry. Type: (cd {folder} && poetry lock && {LOCKS['poetry.lock']}), then "
            f"package again; {without}"
        )
    if not packages:
        return Needs([], [], [])
    said = (
        f"packages as in {project}, in their newest versions: no lock file is there (--no-requirements: without them)"
    )
    return Needs([], [str(package) for package in packages], [said])
