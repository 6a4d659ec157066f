"""Unit tests of a function in the test's own process: a Context to hand to a handler, and whole invocations.

Owns what stands for Lambda there.  Promises: events and results take the way through the same codec as in Lambda; no
process, thread, socket or guard, so coverage, breakpoint(), monkeypatch and moto see the function.

Must not know: pytest.
"""

import contextlib
import inspect
import json
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast
from unittest import mock

from fastlambda._core import Config, Context, Invocation, Runtime, Stream
from fastlambda.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LocalFunction", "context"]

ACCOUNT = "012345678912"


def context(
    *,
    request_id: "str | None" = None,
    function_name: str = "function",
    function_version: str = "$LATEST",
    memory_mb: int = 128,
    timeout_s: float = 3.0,
    region: str = "us-east-1",
    invoked_function_arn: "str | None" = None,
    log_group_name: "str | None" = None,
    log_stream_name: str = "2000/01/01/[$LATEST]00000000000000000000000000000000",
    trace_id: "str | None" = None,
    client_context: "Mapping[str, Any] | None" = None,
    identity: "Mapping[str, str] | None" = None,
    tenant_id: "str | None" = None,
    _event: bytes = b"",
) -> Context:
    """A Context as a handler gets it, for a test that calls the handler itself.

    Args:
        request_id: None: a new UUID.
        function_name, function_version: as Lambda names them.
        memory_mb: MB, which Context tells as text, as AWS's does.
        timeout_s: seconds from now to the deadline, from which get_remaining_time_in_millis() counts.
        region: in the ARN.
        invoked_function_arn: None: made of the region and the name.
        log_group_name: None: /aws/lambda/NAME.
        log_stream_name: as Lambda names it.
        trace_id: the X-Ray header; None: none.
        client_context: {"custom": {...}, "env": {...}, "client": {...}}; None: none.
        identity: {"cognitoIdentityId": ..., "cognitoIdentityPoolId": ...}; None: none.
        tenant_id: of a function in tenant isolation.
    """
    from fastlambda import context as parts

    config = Config(
        function_name=function_name,
        function_version=function_version,
        memory_limit_in_mb=str(memory_mb),
        log_group_name=log_group_name or f"/aws/lambda/{function_name}",
        log_stream_name=log_stream_name,
        region=region,
    )
    inv = Invocation.offline(_event, request_id or str(uuid.uuid4()), int(timeout_s * 1000), trace_id or "")
    made = Context(inv, config)
    made.invoked_function_arn = invoked_function_arn or f"arn:aws:lambda:{region}:{ACCOUNT}:function:{function_name}"
    made.tenant_id = tenant_id
    if client_context is not None:
        made.client_context = parts.client_context(json.dumps(client_context))
    if identity is not None:
        made.identity = parts.cognito_identity(json.dumps(identity))
    return made


class LocalFunction:
    """A function that runs in this process: coverage, breakpoint(), monkeypatch and moto see it.

    Events and results take the way through the codec that they take in Lambda.  What the function raises comes out as
    it is.  Deadlines and memory are not enforced.

    Args:
        target: a handler, a Runner class, or the string that names one: `app.handler`, `app:Orders`.
        env: variables that are set while the function is loaded and while it runs.
        context: arguments of context() for every invocation.
    """

    __test__ = False  # pytest: not a test class

    def __init__(
        self,
        target: "str | type | Callable[..., Any]",
        *,
        env: "Mapping[str, str] | None" = None,
        **context: Any,
    ) -> None:
        from fastlambda.runner import Host, Loop, Runner

        self._env = dict(env or {})
        self._context = context
        region = context.get("region", "us-east-1")
        with self._environment():
            code = _load(target) if isinstance(target, str) else target
            self._runtime = Runtime(Config(region=region), None, None, None, True)
            if isinstance(code, type) and issubclass(code, Runner):
                host = Host(code, region)
                self._loop: Any = host
                self._call: Any = host.call
                self._runtime.bind(host.call, host.decode, host.encode)
                self._runtime.wait = host.wait
                host.setup()
            else:
                if not callable(code):
                    raise UsageError(f"{target!r} is a {type(code).__name__}, which cannot be called")
                self._loop = Loop()
                self._runtime.wait = self._loop.wait
                self._call = code
                self._runtime.bind(code)
                start = getattr(code, "fastlambda_start", None)
                if start is not None:
                    start(self._runtime)

    @contextlib.contextmanager
    def _environment(self) -> Iterator[None]:
        with mock.patch.dict(os.environ, self._env):
            yield

    def invoke(self, event: object = None, **more: Any) -> Any:
        """Invokes the function.

        Args:
            event: any JSON value, or bytes, which go to the function as they are.
            more: arguments of context() for this invocation.

        Returns:
            The result as its caller would decode it; bytes of a streamed one, or of one that is not JSON.

        Raises:
            BaseException: what the function raises.
            ValueError: the event holds what JSON cannot say.
        """
        body = event if isinstance(event, bytes) else json.dumps(event, allow_nan=False).encode()
        ctx = context(**{**self._context, **more, "_event": body})
        inv = ctx._invocation
        with self._environment():
            result = self._call(self._runtime.decode(inv), ctx)
            if inspect.isawaitable(result):
                result = self._loop.wait(result)
            payload = self._runtime.encode(result)
            if isinstance(payload, Stream) or inv.stream is not None:
                from fastlambda.streams import collect

                answer: Any = collect(inv, payload, self._loop.wait)
            else:
                answer = result if isinstance(result, bytes) else json.loads(cast(bytes, payload))
            if inv.after is not None:
                inv.after()
        return answer

    def close(self) -> None:
        """Ends the function's event loop and a web application's lifespan; may be called twice."""
        if hasattr(self._call, "fastlambda_start"):
            self._call.close()
        self._loop.close()

    def __enter__(self) -> "LocalFunction":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _load(target: str) -> Any:
    """What a handler string names.

    Raises:
        HandlerFault: with the words that Lambda's log would have.
    """
    from fastlambda.handler import fault, runner_fault

    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    if ":" in target:
        module_name, _, name = target.partition(":")
        try:
            code: Any = import_module(module_name)
            for part in name.split("."):
                code = getattr(code, part)
        except BaseException as exc:
            raise runner_fault(target, exc) from exc
        return code
    module_name, _, name = target.rpartition(".")
    try:
        if not module_name:
            raise LookupError
        return cast(Any, getattr(import_module(module_name.replace("/", ".")), name))
    except BaseException as exc:
        fault(target, exc)
