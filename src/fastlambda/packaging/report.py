"""Lines for the person who deploys the zip."""

from collections.abc import Iterable

MOST_NAMES = 20


def named(what: str, names: Iterable[str], most: int = MOST_NAMES) -> str:
    """One line about several files: their names, or as many as anybody reads."""
    shown = sorted(names)
    more = f" and {len(shown) - most} more" if len(shown) > most else ""
    return f"{what} {', '.join(shown[:most])}{more}"
