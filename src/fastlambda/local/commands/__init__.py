"""The subcommands of `fastlambda`: each is a function that takes its arguments and gives the exit status.

Its module is imported only when the command is called.
"""

# name: (module, function, what it does in a few words)
COMMANDS = {
    "invoke": ("fastlambda.local.commands.invoke", "main", "run a function on this machine, as Lambda would"),
    "layer": (
        "fastlambda.packaging.cli",
        "layer",
        "make a layer that runs a managed runtime's functions on fastlambda",
    ),
    "package": ("fastlambda.packaging.cli", "package", "make the zip of a function: its code and what it needs"),
}


class CommandError(Exception):
    """What was asked for cannot be done as it was asked: told in one line, exit status 2."""
