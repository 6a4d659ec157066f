"""An application's response after its request was interrupted: posted only when the application answered on purpose.

Promises: a 500 that a framework made of the interruption is never posted as a success.
Source: docs/guard.md.
"""

from sys import modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _interruption() -> "Any":
    if "fastlambda.interruption" not in modules:
        return None
    from fastlambda._core import running

    runtime = running()
    return None if runtime is None else runtime.interruption


def is_answered() -> bool:
    """Whether the invocation under way was interrupted, and the function's code has answered all the same."""
    interruption = _interruption()
    return interruption is not None and interruption.answered is not None


def keep_answer(result: object, is_meant: bool) -> None:
    """Takes the handler's result for the answer that the application gave on purpose.

    Args:
        result: what the handler is going to return.
        is_meant: it is what the application wanted to answer.
    """
    if is_answered():
        _interruption().answered = (result,) if is_meant else None
