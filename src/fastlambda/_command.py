"""The command `fastlambda`: hands over to fastlambda.local, which is a distribution of its own.

Owns what is said where that is not installed.  Knows no command and loads nothing else.
"""

import sys

MISSING = """\
fastlambda: the tools for your own machine are not installed for {python}
  to install them   pip install 'fastlambda[local]'
  in Lambda         none of them is needed: python -m fastlambda module.function"""


def main() -> int:
    """Runs the command line; returns the exit status, 2 where the tools are not installed."""
    try:
        from fastlambda.local.cli import main as run
    except ModuleNotFoundError as exc:
        if exc.name not in ("fastlambda.local", "fastlambda.local.cli"):
            raise
        print(MISSING.format(python=sys.executable), file=sys.stderr)
        return 2
    return run()
