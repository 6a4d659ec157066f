"""A function's process under the embedded endpoint or AWS's own server, started again when it has ended."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from cgroups import Group
from functions_env import functions_env
from support import PATIENCE, AwsServer, end_process

from fastlambda.local.endpoint import Result, RuntimeApi

# Step one a whole second before the deadline, and step two half a second: what is tested is what happens, and a machine
# that is busy with other things may be late by that much. (tools/guard_margin.py measures with the defaults.)
MARGIN_MS, LAST_MS, TIMEOUT_S = 1000, 500, 2
PATIENT = {"FASTLAMBDA_TIMEOUT_MARGIN_MS": str(MARGIN_MS), "FASTLAMBDA_TIMEOUT_LAST_MS": str(LAST_MS)}


# The process goes on after an interruption: for code that is written for it.
KEEP = {"FASTLAMBDA_AFTER_TIMEOUT": "keep"}


class LocalFunction:
    """One function under fastlambda's own endpoint.

    Args:
        target: handler string.
        folder: for the log.
        env: more environment.
        timeout_s: from handing out an event to its deadline; the endpoint itself waits on.
        inside: has the process run inside a control group (tools/cgroups.py); None: it runs as it is.
    """

    def __init__(
        self,
        target: str,
        folder: Path,
        env: dict[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
        inside: Group | None = None,
    ) -> None:
        self.api = RuntimeApi()
        self.timeout_s = timeout_s
        self.log_path = folder / "function.log"
        self.log_path.touch()
        self.exit_codes: list[int] = []
        self.is_closing = False
        self.command = [sys.executable, "-m", "fastlambda", target]
        if inside is not None:
            self.command = inside.command(self.command)
        self.env = {**functions_env(), "AWS_LAMBDA_RUNTIME_API": self.api.address, **PATIENT, **(env or {})}
        self.lock = threading.Lock()
        self.process = self.start()
        self.thread = threading.Thread(target=self.keep_alive)
        self.thread.start()

    def start(self) -> subprocess.Popen[bytes]:
        with self.log_path.open("ab") as log:
            return subprocess.Popen(
                self.command, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def keep_alive(self) -> None:
        while True:
            code = self.process.wait()
            with self.lock:
                if self.is_closing:
                    return
                self.exit_codes.append(code)
                self.api.process_exited()
                self.process = self.start()

    def invoke(self, do: str) -> Result:
        return self.api.invoke(json.dumps({"do": do}).encode(), timeout_s=self.timeout_s)

    def ask(self, do: str) -> Any:
        """The result of a function that answers."""
        result = self.invoke(do)
        assert result.ok, result
        return result.json()

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def close(self) -> None:
        with self.lock:
            self.is_closing = True
            end_process(self.process)
        self.thread.join(PATIENCE)
        self.api.close()

    def __enter__(self) -> LocalFunction:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class AwsFunction:
    """The same under AWS's own server, which starts the process again itself."""

    def __init__(self, target: str, folder: Path, env: dict[str, str] | None = None) -> None:
        command = [sys.executable, "-m", "fastlambda", target]
        self.server = AwsServer(command, functions_env(**{**PATIENT, **(env or {})}), folder, TIMEOUT_S)

    def error(self, do: str) -> dict[str, Any]:
        _, body = self.server.invoke(json.dumps({"do": do}).encode())
        return json.loads(body)  # type: ignore[no-any-return]

    ask = error

    @property
    def log(self) -> str:
        return self.server.log

    def close(self) -> None:
        self.server.close()
