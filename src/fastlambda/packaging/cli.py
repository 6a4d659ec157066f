"""`fastlambda layer` and `fastlambda package`.

Owns exit statuses, as the other commands have them: 1 it could not be made, 2 it was asked for wrongly; 128 and the
signal's number when one ended it.  Promises: no half of a zip, no folder and no process is left then.
"""

import argparse
import platform
import sys
from collections.abc import Callable
from pathlib import Path

from fastlambda.packaging import bundle, ending
from fastlambda.packaging.errors import BadArgument, PackagingError
from fastlambda.packaging.target import ARCHITECTURES

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def _common(parser: argparse.ArgumentParser, *, several: bool) -> None:
    more = "; may be repeated" if several else ""
    parser.add_argument(
        "--python", action="append", metavar="3.X", help=f"the function's runtime (default: {HERE}){more}"
    )
    parser.add_argument(
        "--arch",
        choices=sorted(ARCHITECTURES),
        default="arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64",
        help="the function's architecture (default: this machine's, %(default)s)",
    )
    parser.add_argument(
        "-r", "--requirement", action="append", metavar="FILE", help="a requirements file; may be repeated"
    )
    parser.add_argument("--find-links", action="append", metavar="PLACE", help="a folder or page with wheels, for pip")
    parser.add_argument("--no-index", action="store_true", help="take wheels only from --find-links")
    parser.add_argument("--interpreter", metavar="PATH", help="the Python to compile with (default: one is looked for)")


def _options(args: argparse.Namespace) -> bundle.Options:
    return bundle.Options(
        args.python or [HERE],
        args.arch,
        args.output,
        requirements=args.requirement,
        find_links=args.find_links,
        no_index=args.no_index,
        interpreter=args.interpreter,
    )


def layer(argv: list[str]) -> int:
    """`fastlambda layer`; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="fastlambda layer", description="Makes a layer that runs a managed runtime's functions on fastlambda."
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("layer.zip"), help="default: %(default)s")
    _common(parser, several=True)
    args = parser.parse_args(argv)
    if args.interpreter and len(args.python or []) > 1:
        parser.error("--interpreter goes with one --python")
    return _say(parser.prog, lambda: bundle.make_layer(_options(args)))


def package(argv: list[str]) -> int:
    """`fastlambda package`; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="fastlambda package",
        description="Makes the zip of a function: its code, and the packages it needs.",
        epilog="Patterns are those of a shell, for names (*.pem) and for paths below the folder (certs/*.pem).",
    )
    parser.add_argument("source", type=Path, help="the folder with the function's code, or one .py file")
    parser.add_argument("-o", "--output", type=Path, default=Path("function.zip"), help="default: %(default)s")
    parser.add_argument(
        "--with-runtime", action="store_true", help="put fastlambda and its wrapper in: no layer is needed"
    )
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="leave out; may be repeated")
    parser.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="PATTERN",
        help="pack what would be left out because it may hold a secret or is no code; may be repeated",
    )
    parser.add_argument(
        "--no-requirements",
        action="store_true",
        help="not what requirements.txt or pyproject.toml in the folder name",
    )
    _common(parser, several=False)
    args = parser.parse_args(argv)
    if len(args.python or []) > 1:
        parser.error("a function has one runtime: give --python once")
    if args.no_requirements and args.requirement:
        parser.error("--no-requirements contradicts --requirement")
    return _say(
        parser.prog,
        lambda: bundle.make_package(
            args.source,
            _options(args),
            exclude=args.exclude,
            include=args.include,
            with_runtime=args.with_runtime,
            with_needs=not args.no_requirements,
        ),
    )


def _say(prog: str, make: Callable[[], list[str]]) -> int:
    try:
        with ending.minded():
            lines = make()
    except BadArgument as exc:
        print(f"{prog}: {exc}", file=sys.stderr)
        return 2
    except (PackagingError, OSError) as exc:
        print(f"{prog}: {exc}", file=sys.stderr)
        return 1
    print("\n".join(lines))
    return 0


def main() -> int:
    """`python -m fastlambda.packaging.cli layer|package ...`"""
    commands = {"layer": layer, "package": package}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        print(f"usage: fastlambda {'|'.join(commands)} ...", file=sys.stderr)
        return 2
    return commands[sys.argv[1]](sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
