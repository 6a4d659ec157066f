"""A function in the test's own process: fastlambda.testing and its fixture, used by a project's own run of pytest."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support import PATIENCE, clean_env

from fastlambda.testing import LocalFunction, context

APP = """
import asyncio
import os

import boto3

import fastlambda
from fastlambda import LambdaEvent, Runner

PRICE = 350


def total(event, context):
    if event["quantity"] < 0:
        raise ValueError("a negative quantity")
    return {"total": event["quantity"] * PRICE, "table": os.environ.get("TABLE"), "id": context.aws_request_id}


def keep(event, context):
    boto3.client("s3", region_name="us-east-1").put_object(Bucket="orders", Key="1", Body=b"x")


def raw(event, context):
    return b"\\x00"


def not_json(event, context):
    return {"a": object()}


@fastlambda.streaming
async def letters(event, context):
    yield "a"
    await asyncio.sleep(0)
    yield b"b"


class Orders(Runner[int, dict, dict]):
    async def setup(self, region):
        return 3

    async def run(self, shared, event: LambdaEvent[dict]):
        return {"n": event.event["n"] * shared, "region": event.region}


def stopped(event, context):
    breakpoint()
    return event
"""


def run_pytest(project: Path, test: str, *more: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    (project / "app.py").write_text(APP)
    (project / "test_app.py").write_text(textwrap.dedent(test))
    (project / "pytest.ini").write_text("[pytest]\n")
    env = clean_env(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS="")
    command = [sys.executable, "-m", "pytest", "-p", "fastlambda.local.pytest_plugin", *more]
    return subprocess.run(command, cwd=project, env=env, input=stdin, capture_output=True, text=True, timeout=PATIENCE)


def test_results_failures_patches_and_clouds_are_those_of_the_tests_process(tmp_path: Path) -> None:
    done = run_pytest(
        tmp_path,
        """
        import boto3, moto, pytest

        def test_result(lambda_local):
            function = lambda_local("app.total", env={"TABLE": "orders"})
            assert function.invoke({"quantity": 2}, request_id="r-1") == {"total": 700, "table": "orders", "id": "r-1"}

        def test_environment_is_as_before():
            import os
            assert "TABLE" not in os.environ

        def test_patched(lambda_local, monkeypatch):
            function = lambda_local("app.total")
            monkeypatch.setattr("app.PRICE", 1)
            assert function.invoke({"quantity": 2})["total"] == 2

        def test_what_it_raises_is_what_the_test_sees(lambda_local):
            with pytest.raises(ValueError, match="negative"):
                lambda_local("app.total").invoke({"quantity": -1})

        def test_forms(lambda_local):
            import app
            assert lambda_local(app.raw).invoke() == b"\\x00"
            assert lambda_local("app.letters").invoke() == b"ab"
            orders = lambda_local("app:Orders", region="eu-central-1")
            assert orders.invoke({"n": 2}) == {"n": 6, "region": "eu-central-1"}
            assert lambda_local(app.Orders).invoke({"n": 1})["n"] == 3

        def test_what_json_cannot_say_is_refused_both_ways(lambda_local):
            with pytest.raises(Exception, match="not JSON serializable"):
                lambda_local("app.not_json").invoke()
            with pytest.raises(ValueError):
                lambda_local("app.raw").invoke({"a": float("nan")})

        @moto.mock_aws
        def test_moto(lambda_local):
            s3 = boto3.client("s3", region_name="us-east-1")
            s3.create_bucket(Bucket="orders")
            assert lambda_local("app.keep").invoke() is None
            assert s3.get_object(Bucket="orders", Key="1")["Body"].read() == b"x"
        """,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


def test_coverage_sees_the_lines_of_the_function(tmp_path: Path) -> None:
    test = """
        def test_result(lambda_local):
            assert lambda_local("app.total").invoke({"quantity": 2})["total"] == 700
    """
    done = run_pytest(tmp_path, test, "-p", "pytest_cov", "--cov=app", "--cov-report=term-missing")
    assert done.returncode == 0, done.stdout + done.stderr
    row = next(line for line in done.stdout.splitlines() if line.startswith("app.py"))
    missing = row.split("%")[1]
    at = 1 + APP.splitlines().index('        raise ValueError("a negative quantity")')
    assert str(at) in missing and str(at + 1) not in missing.replace(",", " ").split(), row


def test_breakpoint_opens_the_debugger_of_pytest(tmp_path: Path) -> None:
    test = """
        def test_stop(lambda_local):
            assert lambda_local("app.stopped").invoke({"a": 1}) == {"a": 1}
    """
    done = run_pytest(tmp_path, test, stdin="p event\nc\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "{'a': 1}" in done.stdout and "(Pdb)" in done.stdout


def test_a_context_has_what_was_asked_for() -> None:
    made = context(
        request_id="r",
        function_name="f",
        memory_mb=512,
        timeout_s=7,
        region="eu-central-1",
        client_context={"custom": {"tier": "gold"}},
        identity={"cognitoIdentityId": "i"},
        tenant_id="t",
        trace_id="Root=1-2-3",
    )
    assert (made.aws_request_id, made.function_name, made.memory_limit_in_mb, made.tenant_id) == ("r", "f", "512", "t")
    assert 0 < made.get_remaining_time_in_millis() <= 7000
    assert made.invoked_function_arn == "arn:aws:lambda:eu-central-1:012345678912:function:f"
    assert made.log_group_name == "/aws/lambda/f" and made.xray_trace_id == "Root=1-2-3"
    assert made.client_context.custom == {"tier": "gold"} and made.identity.cognito_identity_id == "i"
    bare = context()
    assert bare.client_context is None and bare.identity.cognito_identity_id is None and bare.tenant_id is None
    assert bare.aws_request_id != context().aws_request_id


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module.handler", "Unable to import module 'no_such_module'"),
        ("json.nothing", "Handler 'nothing' missing on module 'json'"),
        ("json", "Bad handler 'json'"),
        ("json:Nothing", "Runner 'Nothing' missing on module 'json'"),
        (3, "3 is a int, which cannot be called"),
    ],
)
def test_a_wrong_target_is_told_by_name(target: object, message: str) -> None:
    with pytest.raises(Exception, match=message):
        LocalFunction(target)  # type: ignore[arg-type]


def test_a_web_application_with_a_lifespan() -> None:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    from fastlambda.http import asgi

    seen: list[str] = []

    async def lifespan(app):
        seen.append("up")
        yield
        seen.append("down")

    async def page(request):
        return PlainTextResponse("hello")

    import contextlib

    app = Starlette(routes=[Route("/", page)], lifespan=contextlib.asynccontextmanager(lifespan))
    event = {
        "version": "2.0",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"http": {"method": "GET", "path": "/"}, "stage": "$default"},
    }
    with LocalFunction(asgi(app)) as function:
        assert function.invoke(event)["body"] == "hello"
        assert seen == ["up"]
    assert seen == ["up", "down"]
