"""fastlambda: a Python AWS Lambda runtime with a Cython core.

Names resolve on first use, so that importing the package loads nothing: a process pays for what its handler uses.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastlambda._core import Config as Config
    from fastlambda._core import Context as Context
    from fastlambda._core import main as main
    from fastlambda._version import __version__ as __version__
    from fastlambda.errors import InvocationTimeout as InvocationTimeout
    from fastlambda.errors import MemoryExhausted as MemoryExhausted
    from fastlambda.hooks import after_response as after_response
    from fastlambda.hooks import on_shutdown as on_shutdown
    from fastlambda.hooks import register_after_restore as register_after_restore
    from fastlambda.hooks import register_before_snapshot as register_before_snapshot
    from fastlambda.runner import LambdaEvent as LambdaEvent
    from fastlambda.runner import Runner as Runner
    from fastlambda.runner import TestData as TestData
    from fastlambda.runner import exec as exec
    from fastlambda.runner import exec_async as exec_async
    from fastlambda.runner import exec_test as exec_test
    from fastlambda.streams import HttpStream as HttpStream
    from fastlambda.streams import StreamingResponse as StreamingResponse
    from fastlambda.streams import streaming as streaming

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
