"""The command `fastlambda`: hands over to fastlambda.local, which is a distribution of its own.

Owns what is said where that is not installed.  Loads nothing else but the version.
"""

import sys

MISSING = """\
fastlambda: the tools for your own machine are not installed for {python}
{what}"""
HELP = """\
usage: fastlambda COMMAND ...

This is fastlambda {version}, the runtime alone. The commands (invoke, layer, package, ...) are tools for your own
machine, which are not installed for {python}
{what}"""
WHAT = """\
  to install them   pip install 'fastlambda[local]'
  in Lambda         none of them is needed: python -m fastlambda module.function"""


def main() -> int:
    """Runs the command line; returns the exit status: 2 for a command where the tools are not installed."""
    try:
        from fastlambda.local.cli import main as run
    except ModuleNotFoundError as exc:
        if exc.name not in ("fastlambda.local", "fastlambda.local.cli"):
            raise
        return _alone(sys.argv[1:])
    return run()


def _alone(words: list[str]) -> int:
    from fastlambda._version import __version__

    if words == ["--version"]:
        print(f"fastlambda {__version__}")
    elif words in (["-h"], ["--help"]):
        print(HELP.format(version=__version__, python=sys.executable, what=WHAT))
    else:
        print(MISSING.format(python=sys.executable, what=WHAT), file=sys.stderr)
        return 2
    return 0
