"""Bad input gets an error that says what, where and what to do; nothing else is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from functions_env import functions_env
from support import PATIENCE, AwsServer, ScriptedServer, free_port, read_request


def run(*args: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fastlambda", *args],
        cwd=cwd,
        env=functions_env(**env),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
    )


def test_without_a_runtime_api_it_says_how_to_run_a_function_here(tmp_path: Path) -> None:
    done = run("functions.echo", cwd=tmp_path)
    assert done.returncode == 1
    assert "AWS_LAMBDA_RUNTIME_API is not set" in done.stderr and "fastlambda invoke" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("target", ["functions.echo", "functions:SyncEcho"])
def test_an_endpoint_that_refuses_is_named(target: str, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    done = run(target, cwd=tmp_path, AWS_LAMBDA_RUNTIME_API=address)
    assert done.returncode == 1
    assert f"connecting to the Runtime API at {address}: Connection refused" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("args", [(), ("a", "b"), ("--nope",)], ids=["none", "two", "option"])
def test_a_wrong_command_line_explains_itself(args: tuple[str, ...], tmp_path: Path) -> None:
    done = run(*args, cwd=tmp_path, AWS_LAMBDA_RUNTIME_API="127.0.0.1:1")
    assert done.returncode == 2
    assert "usage: python -m fastlambda TARGET" in done.stderr


def test_help_is_no_error(tmp_path: Path) -> None:
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0 and "module:RunnerClass" in done.stdout


@pytest.mark.parametrize(
    ("target", "error_type", "message"),
    [
        ("nodots", "Runtime.MalformedHandlerName", "Bad handler 'nodots'"),
        (
            "missing.handler",
            "Runtime.ImportModuleError",
            "Unable to import module 'missing': No module named 'missing'",
        ),
        ("functions.nope", "Runtime.HandlerNotFound", "Handler 'nope' missing on module 'functions'"),
        ("broken.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'broken'"),
        ("sys.path.x", "Runtime.BuiltInModuleConflict", "Cannot use built-in module sys.path as a handler module"),
        ("raises.handler", "ZeroDivisionError", "division by zero"),
        ("functions:Nope", "Runtime.HandlerNotFound", "Runner 'Nope' missing on module 'functions'"),
        ("missing:Nope", "Runtime.ImportModuleError", "No module named 'missing'"),
        ("functions:echo", "UsageError", "subclass of fastlambda.Runner"),
    ],
)
def test_a_handler_that_cannot_be_loaded_is_an_init_error(
    target: str, error_type: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "broken.py").write_text("def handler(:\n")
    (tmp_path / "raises.py").write_text("1 / 0\n")
    posted = []

    def script(connection: object) -> None:
        head, body = read_request(connection)  # type: ignore[arg-type]
        posted.append((head, json.loads(body)))
        connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 16\r\n\r\n" + b'{"status":"OK"}\n')  # type: ignore[attr-defined]

    with ScriptedServer(script) as server:
        done = run(target, cwd=tmp_path, AWS_LAMBDA_RUNTIME_API=server.address)
    assert done.returncode == 1
    ((head, document),) = posted
    assert head.startswith(b"POST /2018-06-01/runtime/init/error HTTP/1.1")
    assert f"Lambda-Runtime-Function-Error-Type: {error_type}".encode() in head
    assert document["errorType"] == error_type and message in document["errorMessage"]
    assert message in done.stdout


def test_an_event_that_is_not_json_and_a_result_that_cannot_be_encoded_cost_one_invocation_each(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return {1, 2} if event == 'set' else event\n")
    with AwsServer([sys.executable, "-m", "fastlambda", "app.handler"], functions_env(), tmp_path) as server:
        for _ in range(2):
            assert b'"errorType": "Runtime.UnmarshalError"' in server.invoke(b"{not json")[1]
            assert server.invoke(b'"fine"') == (200, b'"fine"')
            assert b"Object of type set is not JSON serializable" in server.invoke(b'"set"')[1]
            assert server.invoke(b'"fine"') == (200, b'"fine"')
        assert server.log.count("START") == 8
