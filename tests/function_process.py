"""A function's process on the local endpoint, for tests of the special Runners."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support import PATIENCE, ROOT, clean_env, end_process

from fastlambda.local.endpoint import Result, RuntimeApi


class FunctionProcess:
    """`python -m fastlambda HANDLER`, started at once.

    Args:
        handler: module.function or module:RunnerClass; modules are found in the repository and in tests/flow.
        log_path: where its output goes.
        env: more environment.
        command: what to start instead.
    """

    def __init__(
        self, handler: str, log_path: Path, env: dict[str, str] | None = None, command: list[str] | None = None
    ) -> None:
        self.api = RuntimeApi()
        self.log_path = log_path
        with log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command or [sys.executable, "-m", "fastlambda", handler],
                cwd=ROOT,
                env=clean_env(
                    AWS_LAMBDA_RUNTIME_API=self.api.address,
                    AWS_REGION="eu-central-1",
                    **{"PYTHONPATH": f"{ROOT}:{ROOT / 'tests' / 'flow'}", **(env or {})},
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        self.process.wait()
        self.api.process_exited()

    def invoke(self, event: Any, *, timeout_s: float = PATIENCE) -> Result:
        return self.api.invoke(json.dumps(event).encode(), timeout_s=timeout_s, init_timeout_s=PATIENCE)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        end_process(self.process)
        self.api.close()
