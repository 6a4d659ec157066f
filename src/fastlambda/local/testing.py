"""A function under test: events and results as Python values, failures as exceptions."""

import json
import os
from collections.abc import Mapping, Sequence
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
        """
        body = event if isinstance(event, bytes) else json.dumps(event).encode()
        for name in ("client_context", "identity"):
            if isinstance(more.get(name), dict):
                more[name] = json.dumps(more[name])
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
