"""The pytest plugin, used by a project's own run of pytest."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

from support import PATIENCE, ROOT, clean_env

APP = """
    import os

    def echo(event, context):
        print("seen", event)
        return {"event": event, "table": os.environ.get("TABLE"), "memory": context.memory_limit_in_mb,
                "tier": context.client_context.custom["tier"] if context.client_context else None}

    def fail(event, context):
        raise KeyError("no such order")

    def raw(event, context):
        return b"\\x00\\xff"
"""


def run_pytest(project: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest in a project that consists of app.py and one test file, from a directory below it."""
    (project / "below").mkdir()
    (project / "app.py").write_text(textwrap.dedent(APP))
    (project / "test_app.py").write_text(textwrap.dedent(test))
    (project / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    # Loaded by name, so that it does not matter whether this very version is the one that is installed.
    env = clean_env(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS="")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "fastlambda.local.pytest_plugin", "-v", ".."],
        cwd=project / "below", env=env, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip


def test_pytest_finds_the_plugin():
    project = tomllib.loads((ROOT / "packages/local/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"fastlambda": "fastlambda.local.pytest_plugin"}


def test_results_and_failures_of_a_real_process_are_python_values(tmp_path):
    done = run_pytest(
        tmp_path,
        """
        import pytest

        def test_result(lambda_function):
            function = lambda_function("app.echo", env={"TABLE": "orders"}, memory_mb=256)
            answer = function.invoke({"a": [1]}, client_context={"custom": {"tier": "gold"}})
            assert answer == {"event": {"a": [1]}, "table": "orders", "memory": "256", "tier": "gold"}
            assert function.last_report.init_ms > 0
            assert function.invoke(None)["event"] is None
            assert function.function.starts == 1

        def test_two_functions_and_their_ends(lambda_function):
            one, two = lambda_function("app.echo"), lambda_function("app.raw")
            assert one.invoke(1)["event"] == 1
            assert two.invoke(b"{}") == b"\\x00\\xff"
            test_two_functions_and_their_ends.pids = [one.function.pid, two.function.pid]

        def test_nothing_is_left(lambda_function):
            import os
            for pid in test_two_functions_and_their_ends.pids:
                with pytest.raises(ProcessLookupError):
                    os.kill(pid, 0)

        def test_failure(lambda_function):
            from fastlambda.local.testing import FunctionError
            with pytest.raises(FunctionError, match="KeyError: 'no such order'") as caught:
                lambda_function("app.fail").invoke()
            error = caught.value
            assert (error.error_type, error.error_message) == ("KeyError", "'no such order'")
            assert 'raise KeyError("no such order")' in error.stack_trace[-1]
            assert error.report.result.kind == "error"
            assert "[ERROR] KeyError" in error.logs

        def test_missing(lambda_function):
            from fastlambda.local.testing import FunctionError
            with pytest.raises(FunctionError) as caught:
                lambda_function("app.nothing").invoke()
            assert caught.value.error_type == "Runtime.HandlerNotFound"

        def test_endpoint(lambda_endpoint):
            import http.client
            pending = lambda_endpoint.submit(b"1", request_id="r")
            peer = http.client.HTTPConnection(lambda_endpoint.address)
            peer.request("GET", "/2018-06-01/runtime/invocation/next")
            assert peer.getresponse().read() == b"1"
            peer.request("POST", "/2018-06-01/runtime/invocation/r/response", b"2")
            peer.getresponse().read()
            assert pending.answer().body == b"2"
            peer.close()
        """,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 passed" in done.stdout


def test_the_log_is_shown_for_a_test_that_failed(tmp_path):
    done = run_pytest(
        tmp_path,
        """
        def test_fails(lambda_function):
            assert lambda_function("app.fail").invoke() == 1
        """,
    )
    assert done.returncode == 1
    assert "fastlambda.local.testing.FunctionError: KeyError: 'no such order'" in done.stdout
    assert "---- log of app.fail ----" in done.stdout


def test_a_run_that_uses_no_fixture_pays_nothing():
    code = (
        "import sys, pytest\nbefore = set(sys.modules)\nimport fastlambda.local.pytest_plugin\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=clean_env(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["fastlambda", "fastlambda.local", "fastlambda.local.pytest_plugin"]


def test_what_is_no_json_is_refused_before_the_function_is_asked(tmp_path):
    done = run_pytest(
        tmp_path,
        """
        import pytest

        NAN, INF = float("nan"), float("inf")
        LOOP = []
        LOOP.append(LOOP)

        @pytest.mark.parametrize(
            ("event", "more", "said"),
            [
                ({"d": NAN}, {}, "nan in event['d'] is not JSON"),
                ([1, {"a": (2, -INF)}], {}, "-inf in event[1]['a'][1] is not JSON"),
                (NAN, {}, "nan in event is not JSON"),
                ({NAN: 1}, {}, "the key nan in event is not JSON"),
                (LOOP, {}, "event is not JSON: Circular reference detected"),
                ({}, {"client_context": {"custom": {"x": INF}}}, "inf in client_context['custom']['x'] is not JSON"),
                ({}, {"identity": {"x": NAN}}, "nan in identity['x'] is not JSON"),
            ],
        )
        def test_refused(lambda_function, event, more, said):
            function = lambda_function("app.echo")
            with pytest.raises(ValueError) as caught:
                function.invoke(event, **more)
            assert str(caught.value) == said
            assert function.function.starts == 0

        def test_no_value_of_json(lambda_function):
            with pytest.raises(TypeError, match="set"):
                lambda_function("app.echo").invoke({"a": {1}})
        """,
    )
    assert "8 passed" in done.stdout, done.stdout
