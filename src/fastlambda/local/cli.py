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
    parser = argparse.ArgumentParser(
        prog="fastlambda",
        description="A Python AWS Lambda runtime, on your own machine.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"fastlambda {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    module = None
    for name, (module_name, summary) in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if given[:1] == [name]:
            module = importlib.import_module(module_name)
            module.add_arguments(command)
    args = parser.parse_args(given)
    assert module is not None
    try:
        return int(module.run(args))
    except CommandError as exc:
        print(f"fastlambda {args.command}: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; the interpreter must not complain about that at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
