"""A function under test: events and results as Python values, failures as exceptions."""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastlambda.local.process import DEFAULT_MEMORY_MB, DEFAULT_TIMEOUT_S, Function, Report


class FunctionError(Exception):
    """The function failed; str() gives type, message and stack as its caller gets them.

    Attributes:
        error_type: class name of the exception, or a name of the platform's such as Sandbox.Timeout.
        error_message: what the error document says.
        stack_trace: one text per frame; [] when there is none.
        report: of the invocation.
        logs: what the function has written up to then.
    """

    def __init__(self, report: Report, logs: str) -> None:
        error = report.result.error
        stack = error.get("stackTrace")
        self.error_type = str(error.get("errorType") or report.result.error_type)
        self.error_message = str(error.get("errorMessage") or "")
        self.stack_trace = [str(entry) for entry in stack] if isinstance(stack, list) else []
        self.report = report
        self.logs = logs
        super().__init__("\n".join([f"{self.error_type}: {self.error_message}", *self.stack_trace]))


class TestedFunction:
    """A function whose process starts with its first invocation.

    Attributes:
        function: the process and its endpoint.
        last_report: of the last invocation; None before the first.
    """

    __test__ = False

    def __init__(self, function: Function) -> None:
        self.function = function
        self.last_report: Report | None = None

    @property
    def logs(self) -> str:
        """What the function has written so far, one line per line; \\r inside an entry is a line break, too."""
        return bytes(self.function.logs).decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")

    def invoke(self, event: object = None, **more: Any) -> Any:
        """Invokes the function.

        Args:
            event: any JSON value, or bytes, which go to the function as they are.
            more: request_id, trace_id, identity, tenant_id, ... as RuntimeApi.submit() takes them; client_context may
                be a dict.

        Returns:
            the decoded result; bytes when its content type is not JSON's.

        Raises:
            FunctionError: the function failed, ran out of time, or did not start.
            ValueError: the event, or one of the dicts, holds what JSON cannot say, such as a nan.
            TypeError: it holds an object that is no JSON value.
        """
        body = event if isinstance(event, bytes) else _json("event", event).encode()
        for name in ("client_context", "identity"):
            if isinstance(more.get(name), dict):
                more[name] = _json(name, more[name])
        report = self.last_report = self.function.invoke(body, **more)
        result = report.result
        if not result.ok:
            raise FunctionError(report, self.logs)
        if (result.content_type or "").partition(";")[0] == "application/json":
            return result.json()
        return result.body

    def stop(self, grace_s: float = 0.0) -> None:
        """Ends the process; with a grace, SIGTERM comes first."""
        self.function.stop(grace_s)


def _json(what: str, value: object) -> str:
    """Text in JSON.

    Raises:
        ValueError: a nan or an infinity in it, which Python would write and JSON does not know; a circle.
        TypeError: an object that is no JSON value.
    """
    try:
        return json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as exc:
        place = _not_finite(value, what)
        raise ValueError(f"{place} is not JSON" if place else f"{what} is not JSON: {exc}") from None


def _not_finite(value: object, place: str, depth: int = 0) -> str | None:
    """Where a nan or an infinity is, as one would write it in Python."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value!r} in {place}"
    if depth == 100:
        return None
    items: Iterable[tuple[object, object]] = ()
    if isinstance(value, dict):
        for key in value:
            if isinstance(key, float) and not math.isfinite(key):
                return f"the key {key!r} in {place}"
        items = value.items()
    elif isinstance(value, list | tuple):
        items = enumerate(value)
    found = (_not_finite(item, f"{place}[{key!r}]", depth + 1) for key, item in items)
    return next((where for where in found if where), None)


class Functions:
    """Starts functions, and ends them all.

    Args:
        root: where their code is, unless told otherwise.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = root
        self._started: list[TestedFunction] = []

    def __call__(
        self,
        handler: str,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        memory_mb: int = DEFAULT_MEMORY_MB,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        command: Sequence[str] | None = None,
        snapstart: bool = False,
    ) -> TestedFunction:
        """A function in a process of its own.

        Args:
            handler: module.function or module:RunnerClass.
            timeout_s: seconds that an invocation may take.
            memory_mb: the function's memory size.
            env: its variables, beside those of Lambda.
            cwd: directory of its code; None: pytest's root directory.
            command: what to start; None: `python -m fastlambda HANDLER`.
            snapstart: takes it through a snapshot and restore first.
        """
        function = Function(
            handler,
            timeout_s=timeout_s,
            memory_mb=memory_mb,
            env=env,
            cwd=self._root if cwd is None else cwd,
            command=command,
            snapstart=snapstart,
        )
        self._started.append(TestedFunction(function))
        return self._started[-1]

    def stop(self) -> None:
        """Ends all processes and prints what they logged, which pytest shows for a test that failed."""
        for tested in self._started:
            tested.stop()
            if tested.logs:
                print(f"---- log of {tested.function.handler} ----\n{tested.logs}", end="")
        self._started.clear()
