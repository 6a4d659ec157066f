"""A function that writes and never logs."""

import os
import sys


def handler(event, context):
    if event == "end":
        os._exit(0)
    print("printed", end="")
    sys.stderr.write("told")
    return sorted({"logging", "traceback", "json", "orjson", "fastlambda.logs", "fastlambda.hooks"} & set(sys.modules))


def logs(event, context):
    before = "logging" in sys.modules
    import logging

    logging.getLogger("shop").warning("sold %d", 3)
    return [before, logging.__spec__.loader.__class__.__name__, logging.Formatter.converter.__name__]
