"""What may be said of an exception whose texts may have been made from a secret: kinds and codes, never a text.

A value can be spelled in more ways than anybody can search for (cut, split, encoded, quoted, hashed), so nothing is
searched for: of an exception that came out of other people's code only the names of classes and codes out of closed
lists are told.  Promises: what spoken_of() returns has no message, note, argument, cause or context of what it got.
Must not know: secrets, AWS's services.
"""

from fastlambda.errors import FastlambdaError, InvocationTimeout, MemoryExhausted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    E = TypeVar("E", bound=BaseException)

# Packages whose exceptions have a code of SQL's standard.
SQL = ("asyncpg", "psycopg", "psycopg2")
MAX_CHAIN = 5
MAX_NAME = 100


def ours(exc: "E") -> "E":
    """Marks an exception that was made here, of nothing secret: its message may be told."""
    exc._fastlambda_says = str(exc)  # type: ignore[attr-defined]
    return exc


def spoken_of(exc: BaseException, doing: str, kind: type[FastlambdaError]) -> BaseException:
    """An exception to be raised in the place of another one.

    Args:
        exc: as it came.
        doing: what failed, for the message.
        kind: of the exception that stands for what other people's code raised.

    Returns:
        One with the frames of `exc`, and none of its texts unless it went through ours().
    """
    says = exc.__dict__.get("_fastlambda_says")
    fresh: BaseException
    if isinstance(says, str):
        fresh = type(exc)(says)
    elif isinstance(exc, (InvocationTimeout, MemoryExhausted)) or _is_of_the_runtime(exc):
        return alone(exc)  # the runtime's own, which it knows again: the same object
    elif isinstance(exc, SystemExit):
        fresh = SystemExit(exc.code if exc.code is None or isinstance(exc.code, int) else 1)
    elif not isinstance(exc, Exception) and type(exc).__name__ in ("CancelledError", "KeyboardInterrupt"):
        fresh = type(exc)()
    else:
        fresh = kind(f"{doing}: {describe(exc)} (its text is not told: it may have been made from the secret)")
    return fresh.with_traceback(exc.__traceback__)


def alone(exc: "E") -> "E":
    """An exception without what it came from: the errors that were being handled when it was raised, and notes."""
    exc.__cause__ = exc.__context__ = None
    exc.__notes__ = []
    return exc


def _is_of_the_runtime(exc: BaseException) -> bool:
    return not isinstance(exc, Exception) and type(exc).__module__.partition(".")[0] == "fastlambda"


def describe(exc: BaseException) -> str:
    """Kinds and codes of an exception and of what it was caused by."""
    told: list[str] = []
    seen: list[BaseException] = []
    one: BaseException | None = exc
    while one is not None and len(told) < MAX_CHAIN and not any(one is known for known in seen):
        seen.append(one)
        told.append(_kind(one))
        one = one.__cause__ if one.__cause__ is not None or one.__suppress_context__ else one.__context__
    return ", after ".join(told)


def _kind(exc: BaseException) -> str:
    name = type(exc).__name__[:MAX_NAME]
    if isinstance(exc, BaseExceptionGroup):
        members = dict.fromkeys(type(member).__name__[:MAX_NAME] for member in exc.exceptions)
        return f"{name} of {', '.join(list(members)[:MAX_CHAIN])}"
    code = _code(exc)
    return f"{name} ({code})" if code else name


def _code(exc: BaseException) -> str:
    """A code out of a closed list, "" for none."""
    if isinstance(exc, OSError):
        from errno import errorcode

        return errorcode.get(exc.errno, "") if isinstance(exc.errno, int) else ""
    packages = {cls.__module__.partition(".")[0] for cls in type(exc).__mro__}
    if "botocore" in packages:
        response: Any = getattr(exc, "response", None)
        code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
        operation = getattr(exc, "operation_name", None)
        return f"{code} of {operation}" if _is_word(code) and _is_word(operation) else ""
    if not packages.isdisjoint(SQL):
        state = getattr(exc, "sqlstate", None) or getattr(exc, "pgcode", None)
        return f"SQLSTATE {state}" if _is_word(state) and len(str(state)) == 5 else ""
    return ""


def _is_word(text: "Any") -> bool:
    return isinstance(text, str) and len(text) <= MAX_NAME and text.isascii() and text.replace(".", "").isalnum()
