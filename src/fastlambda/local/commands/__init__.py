"""The subcommands of `fastlambda`: each is a module with add_arguments(parser) and run(args) -> exit status.

A module is imported only when its command is called.
"""

# name: (module, what it does in a few words)
COMMANDS = {
    "invoke": ("fastlambda.local.commands.invoke", "run a function on this machine, as Lambda would"),
}


class CommandError(Exception):
    """What was asked for cannot be done as it was asked: told in one line, exit status 2."""
