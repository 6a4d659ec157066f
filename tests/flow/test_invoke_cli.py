"""`fastlambda invoke` as a person runs it: real processes, what is printed where, exit statuses."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import PATIENCE, clean_env

APP = """
import os, sys, time
from fastlambda import Runner

print("importing", flush=True)

def echo(event, context):
    return event

def about(event, context):
    custom = context.client_context.custom if context.client_context else None
    return {"env": dict(os.environ), "custom": custom, "memory": context.memory_limit_in_mb,
            "left": context.get_remaining_time_in_millis()}

def talk(event, context):
    print("to stdout", flush=True)
    print("to stderr", file=sys.stderr)
    return "said"

def fail(event, context):
    inner(event)

def inner(event):
    raise ValueError("no such thing: " + event["thing"])

def leave(event, context):
    os._exit(3)

def hang(event, context):
    os.write(1, b"hanging %d\\n" % os.getpid())
    while True:
        time.sleep(600)

class Greeter(Runner):
    def setup(self, region):
        return "hello"
    def run(self, shared, event):
        return f"{shared} {event.event['name']}"
"""

REPORT = re.compile(
    r"^REPORT RequestId: [0-9a-f-]{36}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\tMemory Size: (\d+) MB\t"
    r"Max Memory Used: [1-9]\d* MB(\tInit Duration: \d+\.\d\d ms)?(\tStatus: .*)?$",
    re.M,
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "fastlambda.local.cli", *args]


def run(project: Path, *args: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(*args), cwd=project, env=clean_env(**env), input=stdin, capture_output=True, timeout=PATIENCE
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_a_response_goes_to_stdout_and_the_report_to_stderr(project):
    done = run(project, "invoke", "app.echo", '{"a": [1, "\u00e4"]}')
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"a": [1, "\u00e4"]}
    assert done.stdout.endswith("}\n")
    assert done.stderr.startswith("importing\n")
    report = REPORT.search(done.stderr)
    assert report, done.stderr
    assert report[1] == "128"
    assert "Init Duration" in report[0]


def test_a_runner_answers_too(project):
    done = run(project, "invoke", "app:Greeter", '{"name": "world"}')
    assert (done.returncode, json.loads(done.stdout)) == (0, "hello world"), done.stderr


@pytest.mark.parametrize("how", ["file", "stdin"])
def test_the_event_is_read_from_a_file_or_from_stdin(project, how):
    event = json.dumps({"text": "x" * 100_000}).encode()
    (project / "event.json").write_bytes(event)
    if how == "file":
        done = run(project, "invoke", "app.echo", "@event.json")
    else:
        done = run(project, "invoke", "app.echo", "-", stdin=event)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads(event)


def test_options_reach_the_function(project):
    done = run(
        project, "invoke", "app.about", "{}", "--memory", "512", "--timeout", "77", "--client-context",
        '{"custom": {"tier": "gold"}}', "--env", "TABLE=orders=1", "--env", "COPIED",
        COPIED="from here", NOT_COPIED="x", AWS_SECRET_ACCESS_KEY="secret", PYTHONHASHSEED="1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["custom"], said["memory"]) == ({"tier": "gold"}, "512")
    assert 60_000 < said["left"] <= 77_000
    env = said["env"]
    assert (env["TABLE"], env["COPIED"]) == ("orders=1", "from here")
    assert not {"NOT_COPIED", "AWS_SECRET_ACCESS_KEY", "PYTHONHASHSEED"} & set(env)
    assert REPORT.search(done.stderr)[1] == "512"


def test_what_the_function_prints_comes_before_its_report(project):
    done = run(project, "invoke", "app.talk", "{}")
    assert json.loads(done.stdout) == "said"
    lines = done.stderr.splitlines()
    assert {"to stdout", "to stderr"} <= set(lines[:-1])
    assert lines[-1].startswith("REPORT")


def test_a_failure_is_told_with_its_stack_and_status_1(project):
    done = run(project, "invoke", "app.fail", '{"thing": "moon"}')
    assert (done.returncode, done.stdout) == (1, "")
    told = done.stderr.index("\nValueError: no such thing: moon\nTraceback (most recent call last):\n")
    assert 'raise ValueError("no such thing: " + event["thing"])' in done.stderr[told:]
    assert "\r" not in done.stderr
    assert "\N{NO-BREAK SPACE}" not in done.stderr


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("app.leave", "Runtime.ExitError: RequestId: "),
        ("app.nothing", "Runtime.HandlerNotFound: Handler 'nothing' missing on module 'app'"),
        ("missing.f", "Runtime.ImportModuleError: Unable to import module 'missing'"),
    ],
)
def test_a_function_that_ends_or_does_not_start_is_status_1(project, target, told):
    done = run(project, "invoke", target, "{}")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"\n{told}" in f"\n{done.stderr}"
    assert "Error Type: Runtime." in REPORT.search(done.stderr)[0]


def test_a_function_that_hangs_ends_at_its_timeout(project):
    done = run(project, "invoke", "app.hang", "{}", "--timeout", "1.5")
    assert (done.returncode, done.stdout) == (1, "")
    assert "hanging " in done.stderr
    assert re.search(r"time|Timeout", done.stderr)


def test_many_invocations_are_summed_up(project):
    done = run(project, "invoke", "app.echo", '"x"', "--count", "50")
    assert (done.returncode, done.stdout) == (0, '"x"\n' * 50), done.stderr
    assert not REPORT.search(done.stderr)
    assert re.search(
        r"^50 of 50 invocations in [\d.]+ s, 0 failed; Init Duration: [\d.]+ ms, Duration: p50 [\d.]+ ms, "
        r"p99 [\d.]+ ms, min [\d.]+ ms, max [\d.]+ ms; Max Memory Used: \d+ MB$",
        done.stderr,
        re.M,
    ), done.stderr


def test_a_few_invocations_are_reported_one_by_one_and_the_same_failure_is_told_once(project):
    done = run(project, "invoke", "app.fail", '{"thing": "moon"}', "--count", "3")
    assert done.returncode == 1
    assert len(REPORT.findall(done.stderr)) == 3
    assert len(re.findall(r"^ValueError: no such thing: moon$", done.stderr, re.M)) == 1
    assert "3 of 3 invocations" in done.stderr
    assert "3 times: ValueError: no such thing: moon" in done.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["app.echo", "{"], "EVENT is not JSON: Expecting property name"),
        (["app.echo", "NaN"], "EVENT is not JSON: NaN is not JSON"),
        (["app.echo", ""], "EVENT is empty"),
        (["app.echo", "app.py"], "(to read it from that file: @app.py)"),
        (["app.echo", "@nowhere.json"], "the event in nowhere.json cannot be read: No such file or directory"),
        (["app.echo", "@app.py"], "the event in app.py is not JSON"),
        (["app.echo", "-"], "the event on stdin is empty"),
        (["app.echo", "{}", "--env", "_X=1"], "--env _X=1: _X: Lambda drops names"),
        (["app.echo", "{}", "--env", "AWS_LAMBDA_RUNTIME_API=x"], "is reserved"),
        (["app.echo", "{}", "--env", "NOT_SET_ANYWHERE"], "NOT_SET_ANYWHERE is not set here; give NAME=VALUE"),
        (["app.echo", "{}", "--env", "=1"], "'' is no name for an environment variable"),
        (["app.echo", "{}", "--client-context", "{"], "--client-context is not JSON"),
        (["app.echo", "{}", "--client-context", "[]"], "--client-context: expected a JSON object"),
        (["app.echo", "{}", "--count", "0"], "--count 0: at least 1"),
        (["app.echo", "{}", "--timeout", "0"], "--timeout 0: more than 0"),
        (["app.echo", "{}", "--timeout", "5401"], "at most 1800 seconds, or 5400 on Managed Instances"),
        (["app.echo", "{}", "--timeout", "nan"], "--timeout nan"),
        (["app.echo", "{}", "--memory", "64"], "--memory 64: 128 to 32768 MB"),
        (["app.echo", "{}", "--memory", "32769"], "--memory 32769: 128 to 32768 MB"),
        (["app.echo", "{}", "--invocation-type", "DryRun"], "argument --invocation-type: invalid choice: 'DryRun'"),
        (["app", "{}"], "TARGET 'app' names no function: expected module.function or module:RunnerClass"),
        (["app.echo"], "the following arguments are required: EVENT"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_refused_before_anything_is_started(project, args, told):
    done = run(project, "invoke", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "importing" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("timeout", "told"), [("1800", False), ("1801", True), ("5400", True)])
def test_todays_limits_of_lambda_are_taken(project, timeout, told):
    done = run(project, "invoke", "app.echo", "1", "--timeout", timeout, "--memory", "32768")
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert ("only on Managed Instances" in done.stderr) is told


def test_an_asynchronous_event_may_have_a_megabyte(project):
    (project / "big.json").write_text('"' + "x" * (1024 * 1024 - 2) + '"')
    asynchronous = ("invoke", "app.echo", "@big.json", "--invocation-type", "Event")
    done = run(project, *asynchronous)
    assert done.returncode == 0, done.stderr
    (project / "big.json").write_text('"' + "x" * (1024 * 1024 - 1) + '"')
    done = run(project, *asynchronous)
    assert done.returncode == 2
    assert "1048577 bytes; Lambda takes 1048576 of an asynchronous event at most" in done.stderr


def test_an_event_that_is_too_large_is_refused(project):
    (project / "big.json").write_text('"' + "x" * (6 * 1024 * 1024) + '"')
    done = run(project, "invoke", "app.echo", "@big.json")
    assert done.returncode == 2
    assert "6291458 bytes; Lambda takes 6291456 at most" in done.stderr


def test_help_teaches_by_examples(project):
    top = run(project, "--help")
    assert top.returncode == 0
    assert "fastlambda invoke app.handler" in top.stdout
    done = run(project, "invoke", "--help")
    assert done.returncode == 0
    assert "cat event.json | fastlambda invoke app.handler -" in done.stdout


def test_an_interrupt_ends_the_function_and_the_command(project):
    with subprocess.Popen(
        command("invoke", "app.hang", "{}", "--timeout", "600"),
        cwd=project,
        env=clean_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A run in the background ignores Ctrl-C, and so would all it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stderr is not None
        line = b""
        while not line.startswith(b"hanging"):
            line = process.stderr.readline()
            assert line, "the command ended"
        process.send_signal(signal.SIGINT)
        assert b"Traceback" not in process.stderr.read()
        assert process.wait(PATIENCE) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int(line.split()[1]), 0)


def test_a_reader_that_stops_ends_the_command_without_a_traceback(project):
    with subprocess.Popen(
        command("invoke", "app.echo", '"x"', "--count", "100000"),
        cwd=project,
        env=clean_env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read().decode()
        assert process.wait(PATIENCE) == 1
        assert "Traceback" not in told
        assert "BrokenPipe" not in told


@pytest.mark.parametrize("name", ["invoke", "layer", "package"])
def test_each_command_explains_itself(project, name):
    assert f"\n    {name} " in run(project, "--help").stdout
    done = run(project, name, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: fastlambda {name} ")


@pytest.mark.parametrize("args", [[], ["frobnicate"], ["--frobnicate"], ["--", "invoke"]], ids=str)
def test_what_is_no_command_is_refused_with_the_commands_there_are(project, args):
    done = run(project, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: fastlambda ")


def test_a_command_loads_only_its_own_modules(project):
    code = (
        "import sys; from fastlambda.local import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert not {m for m in sys.modules if m in ('h11', 'socket', 'fastlambda.local.commands.invoke',\n"
        "                                        'fastlambda.packaging.cli')}\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, env=clean_env(), capture_output=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
