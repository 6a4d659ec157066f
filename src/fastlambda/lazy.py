"""FASTLAMBDA_LAZY_IMPORTS=1: the function's modules import what they name when it is first used (PEP 810).

Promises: our own modules and packages that do not bear it are imported at once; a failure that comes from laziness
names the switch.  Loaded only where the switch is on.  Must not know: invocations.
Source: PEP 810; docs/lazy-imports.md has the packages that were tried.
"""

import sys

from fastlambda.errors import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SWITCH = "FASTLAMBDA_LAZY_IMPORTS=1"

# Packages whose modules rely on an import being run where it stands: by what they import, or by being imported.
# tools/lazy_imports.py tries them.
EAGER = frozenset({"fastlambda"})

# What the interpreter says in front of the exception of an import that was put off.
_PUT_OFF = "lazy import of "


def begin() -> None:
    """Makes imports at the top of modules lazy from here on; a line in the log where this Python cannot."""
    switch = getattr(sys, "set_lazy_imports", None)
    if switch is None:
        complain(f"{SWITCH} needs Python 3.15 or newer, this is {sys.version.split()[0]}: imports are as always")
        return
    sys.set_lazy_imports_filter(_filter(sys.get_lazy_imports_filter()))  # type: ignore[attr-defined]
    switch("all")


def _filter(
    others: "Callable[[str | None, str, tuple[str, ...] | None], bool] | None",
) -> "Callable[[str | None, str, tuple[str, ...] | None], bool]":
    """Says whether one import may be lazy: a module's top name, and that of what it imports, are looked up."""
    eager = EAGER

    def may_be_lazy(importing: str | None, imported: str, names: "tuple[str, ...] | None") -> bool:
        if importing is None or importing.partition(".")[0] in eager or imported.partition(".")[0] in eager:
            return False
        return others is None or others(importing, imported, names)

    return may_be_lazy


def explain(exc: BaseException, *, in_init: bool) -> None:
    """Names the switch in the log where an exception comes, or may come, from an import that was put off.

    Args:
        exc: what ended an init or an invocation.
        in_init: whether it was an init.
    """
    seen: set[int] = set()
    link: BaseException | None = exc
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, ImportError) and str(link).startswith(_PUT_OFF):
            name = str(link).split("'")[1:2]
            complain(f"{SWITCH} put the import of {''.join(name)!r} off to its first use, where it failed")
            return
        link = link.__cause__ or link.__context__
    if in_init or (isinstance(exc, AttributeError) and isinstance(exc.obj, type(sys))):
        complain(f"imports are lazy here ({SWITCH}): if this works without the variable, that is why")
