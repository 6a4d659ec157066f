"""The command `fastlambda`: finds the subcommand and runs it.

Owns exit statuses: 0 success, 1 the thing asked for failed, 2 it was asked for wrongly, 130 interrupted.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from fastlambda._version import __version__
from fastlambda.local.commands import COMMANDS, CommandError

EPILOG = """\
examples:
  fastlambda invoke app.handler '{"key": "value"}'
  fastlambda invoke --help
"""


def _parser() -> argparse.ArgumentParser:
    """Explains the commands and refuses what is none."""
    parser = argparse.ArgumentParser(
        prog="fastlambda",
        description="A Python AWS Lambda runtime, on your own machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastlambda {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (_, _, summary) in COMMANDS.items():
        commands.add_parser(name, help=summary)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: arguments after the program's name; None: those of this process.

    Returns:
        the exit status.

    Raises:
        SystemExit: for --help, --version and arguments that argparse refuses.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    if not given or given[0] not in COMMANDS:
        parser = _parser()
        parser.parse_args(given)
        parser.error("the command comes first")
    name, rest = given[0], given[1:]
    module_name, function_name, _ = COMMANDS[name]
    command = getattr(importlib.import_module(module_name), function_name)
    try:
        return int(command(rest))
    except CommandError as exc:
        print(f"fastlambda {name}: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not complain about that at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
