"""_X_AMZN_TRACE_ID is what the invocation came with, for Python code and for C code alike."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

from functions_env import functions_env
from support import ACCEPTED, ScriptedServer, event_answer, read_request

HANDLER = """
import ctypes, os
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
def handler(event, context):
    in_c = getenv(b"_X_AMZN_TRACE_ID")
    return [os.environ.get("_X_AMZN_TRACE_ID"), None if in_c is None else os.fsdecode(in_c)]
"""
START = "from fastlambda._core import main; main()"


def seen_by_a_handler(trace_ids: list[str | None], tmp_path: Path) -> list[list[str | None]]:
    """What os.environ and getenv() gave in one process, invocation by invocation."""
    (tmp_path / "traced.py").write_text(HANDLER)
    answers: list[list[str | None]] = []

    def script(connection: socket.socket) -> None:
        for n, trace_id in enumerate(trace_ids):
            read_request(connection)
            header = [] if trace_id is None else [f"Lambda-Runtime-Trace-Id: {trace_id}"]
            connection.sendall(event_answer(request_id=f"id-{n}", headers=header))
            head, body = read_request(connection)
            assert b"/response" in head.split(b"\r\n")[0], body
            answers.append(json.loads(body))
            connection.sendall(ACCEPTED)
        read_request(connection)

    process = None
    try:
        with ScriptedServer(script) as server:  # leaving it waits for the end of the script
            env = functions_env(AWS_LAMBDA_RUNTIME_API=server.address)
            process = subprocess.Popen([sys.executable, "-c", START, "traced.handler"], env=env, cwd=tmp_path)
    finally:
        if process is not None:
            process.kill()
            process.wait()
    return answers


def test_python_and_c_see_the_trace_id_of_each_invocation(tmp_path: Path) -> None:
    ids = ["Root=1", "Root=1", "Root=2;Parent=ab;Sampled=1", "Root=3", "Root=4"]
    assert seen_by_a_handler([*ids], tmp_path) == [[i, i] for i in ids]


def test_the_trace_id_is_gone_when_an_invocation_has_none(tmp_path: Path) -> None:
    assert seen_by_a_handler(["Root=1", None, None, "Root=1"], tmp_path) == [
        ["Root=1", "Root=1"],
        [None, None],
        [None, None],
        ["Root=1", "Root=1"],
    ]


def test_a_trace_id_of_any_length_arrives(tmp_path: Path) -> None:
    ids = ["a" * 999, "b" * 1000, "c" * 1001, "d" * 3000, "e"]
    assert seen_by_a_handler([*ids], tmp_path) == [[i, i] for i in ids]
