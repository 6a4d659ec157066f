"""Fails while it is imported."""

import os


def load():
    raise {"ValueError": ValueError, "KeyError": KeyError, "ImportError": ImportError}[os.environ["RAISES"]](
        "at import"
    )


if os.environ["RAISES"].startswith("exit"):
    print("leaving")
    raise SystemExit(int(os.environ["RAISES"][4:]))

if os.environ["RAISES"] == "interrupt":
    raise KeyboardInterrupt

if os.environ["RAISES"] == "missing":
    import not_there_at_all  # noqa: F401

load()
