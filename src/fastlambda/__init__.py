"""fastlambda: a Python AWS Lambda runtime with a Cython core.

Names resolve on first use, so that importing the package loads nothing: a process pays for what its handler uses.
Type checkers and editors read __init__.pyi.
"""

# Each public name and the room it lives in.
_ROOMS = {
    "after_response": "hooks",
    "on_shutdown": "hooks",
    "register_after_restore": "hooks",
    "register_before_snapshot": "hooks",
    "Config": "_core",
    "Context": "_core",
    "HttpStream": "streams",
    "InvocationTimeout": "errors",
    "LambdaEvent": "runner",
    "MemoryExhausted": "errors",
    "Runner": "runner",
    "StreamingResponse": "streams",
    "TestData": "runner",
    "__version__": "_core",
    "exec": "runner",
    "exec_async": "runner",
    "exec_test": "runner",
    "main": "_core",
    "streaming": "streams",
}
__all__ = [name for name in _ROOMS if name != "exec"]


def __getattr__(name: str) -> object:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module 'fastlambda' has no attribute {name!r}")
    try:
        module = __import__(f"fastlambda.{room}", None, None, [name])
    except ImportError as exc:
        from fastlambda._broken import explain

        explain(exc)
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
