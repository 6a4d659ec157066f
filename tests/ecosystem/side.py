"""Runs one function under one client, with an intake on loopback, and brings what was seen into a form to compare."""

from __future__ import annotations

import gzip
import http.server
import json
import re
import subprocess
import sys
import tempfile
import threading
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import PATIENCE, clean_env, end_process

from fastlambda.local.endpoint import RuntimeApi

APPS = Path(__file__).parent / "apps"
CLIENTS = {
    "aws": ["-m", "awslambdaric"],
    "fastlambda": ["-c", "import fastlambda; fastlambda.main()"],
}
PLAIN: list[Any] = [{"n": 1}, {"fail": True}, {"n": 2}]


@dataclass
class Case:
    """One package.

    Args:
        app: file in apps/, whose function is `handler`.
        packages: distributions, by the names that pip knows.
        events: the invocations, in one process.
        env: more environment; {intake} is host:port of the intake.
        in_ci: belongs to the small set.
        note: what the table says about it.
        unlogged: pattern of log lines that no two runs share.
    """

    app: str
    packages: list[str]
    events: list[Any] = field(default_factory=lambda: list(PLAIN))
    env: dict[str, str] = field(default_factory=dict)
    in_ci: bool = False
    note: str = ""
    unlogged: str = ""
    handler: str = ""


class Intake:
    """A server that takes whatever a tool sends, and remembers it."""

    def __init__(self) -> None:
        intake = self
        self.received: list[tuple[str, bytes]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                encoding = self.headers.get("content-encoding")
                if encoding == "gzip":
                    body = gzip.decompress(body)
                elif encoding == "deflate":
                    body = zlib.decompress(body)
                intake.received.append((self.path, body))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            do_GET = do_PUT = do_POST

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def observe(client: str, case: Case, python: str = sys.executable) -> dict[str, Any]:
    """What one client's run of a case answered, logged and recorded."""
    api, intake = RuntimeApi(), Intake()
    with tempfile.TemporaryDirectory() as home:
        log_path = Path(home) / "log"
        handler = case.handler or f"{case.app}.handler"
        env = clean_env(
            AWS_LAMBDA_RUNTIME_API=api.address,
            AWS_REGION="eu-west-1",
            AWS_DEFAULT_REGION="eu-west-1",
            AWS_ACCESS_KEY_ID="none",
            AWS_SECRET_ACCESS_KEY="none",
            AWS_LAMBDA_FUNCTION_NAME="f",
            AWS_LAMBDA_FUNCTION_VERSION="1",
            AWS_LAMBDA_FUNCTION_MEMORY_SIZE="512",
            AWS_LAMBDA_LOG_GROUP_NAME="/aws/lambda/f",
            AWS_LAMBDA_LOG_STREAM_NAME="stream",
            AWS_EXECUTION_ENV="AWS_Lambda_python3.11",
            LAMBDA_TASK_ROOT=str(APPS),
            _HANDLER=handler,
            HOME=home,
            PYTHONPATH=str(APPS),
            FASTLAMBDA_JSON_LAYOUT="aws",
            **{name: value.format(intake=intake.address) for name, value in case.env.items()},
        )
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [python, *CLIENTS[client], handler],
                cwd=APPS,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        threading.Thread(target=lambda: (process.wait(), api.process_exited()), daemon=True).start()
        try:
            answers = []
            for event in case.events:
                timeout_s = event.get("timeout", PATIENCE) if isinstance(event, dict) else PATIENCE
                result = api.invoke(json.dumps(event).encode(), timeout_s=timeout_s, init_timeout_s=PATIENCE)
                answers.append([result.kind, plain(without_chain(result.body))])
        finally:
            end_process(process)
            api.close()
            intake.close()
        lines = [plain(line) for line in without_chain(log_path.read_bytes()).splitlines()]
    if case.unlogged:
        lines = [line for line in lines if not re.search(case.unlogged, line)]
    return {
        "answered": answers,
        "logged": sorted(lines),
        "recorded": sorted(summary(path, body) for path, body in intake.received),
    }


def without_chain(text: bytes) -> str:
    """Text without the causes and contexts that fastlambda tells after an error's own frames: `error-chain` in
    docs/differences.md."""
    told = text.decode(errors="replace")
    told = re.sub(r'(, "(?:Caused by|While handling|Note): .*?)(?=\]\})', "", told)
    return re.sub(r"\r(?:Caused by|While handling|Note): [^\n]*", "", told)


def plain(text: str) -> str:
    """Text without what no two runs share: ids, times, numbers, addresses, the clients' own frames."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r"\b(?=[0-9a-f]*\d)[0-9a-f]{16,32}\b", "<id>", text)
    text = re.sub(r"0x[0-9a-f]+", "<address>", text)
    return re.sub(r"-?\d+(\.\d+)?", "#", text)


def summary(path: str, body: bytes) -> str:
    """One request to the intake: its path and the names in its body, which is JSON, lines of it, or neither."""
    names: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                kind = f"={inner}" if key in ("type", "status", "level", "errorType", "class", "transaction") else ""
                names.add(plain(f"{key}{kind}") if not isinstance(inner, (dict, list)) else plain(key))
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    for line in body.splitlines():
        try:
            walk(json.loads(line))
        except ValueError:
            pass
    words = sorted(names - {"date", "sent_at", "timestamp"})
    return f"{plain(path)} {' '.join(words)}" if words else f"{plain(path)}"
