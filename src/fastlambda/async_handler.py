"""`async def` handlers: one event loop for the life of the process, one task for each invocation.

Loaded when a handler is one.  Promises: the loop is made at the first event; each invocation has its own copy of the
context variables; the guard cancels the task of the invocation under way.  Must not know: how a handler is found.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from fastlambda._core import Runtime


def adapt(runtime: "Runtime", handler: "Callable[[Any, Any], Any]") -> "Callable[[Any, Any], Any]":
    """What the loop calls in place of an `async def` handler.

    Args:
        runtime: whose guard interrupts the task.
        handler: a coroutine function, or what wraps one.
    """
    import atexit

    from fastlambda.runner import Loop

    loop = Loop(runtime)
    runtime.wait = wait = loop.wait
    atexit.register(loop.close)

    def call(event: object, context: object) -> object:
        return wait(handler(event, context))

    return call
