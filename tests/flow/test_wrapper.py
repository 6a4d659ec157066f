"""The layer's wrapper: whatever of ours fails before the first poll, AWS's client runs the function instead."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ACCEPTED, PATIENCE, ROOT, Peer, ScriptedServer, answer_with, clean_env, event_answer

# Stands for AWS's start script: tells what it was started with, and whether its log descriptor is one.
AWS_CLIENT = """
import json, os, sys
fd = os.environ.get("_LAMBDA_TELEMETRY_LOG_FD")
if fd:
    os.fstat(int(fd))
print(json.dumps([sys.argv, sys.flags.no_site, os.environ.get("PYTHONPATH"), fd]))
"""
NEXT_PYTHON = """
import _json
_json.make_scanner = lambda settings: settings.setting_of_the_next_python
"""


class Layer:
    """The wrapper in a folder, with this tree's package beside it."""

    def __init__(self, folder: Path) -> None:
        self.task, self.opt, self.runtime = (folder / name for name in ("task", "opt", "runtime"))
        for place in (self.task, self.opt / "python", self.runtime):
            place.mkdir(parents=True)
        shutil.copy(ROOT / "src/fastlambda/packaging/wrapper.sh", self.opt / "fastlambda-wrapper")
        (self.opt / "fastlambda-wrapper").chmod(0o755)
        (self.opt / "python/fastlambda").symlink_to(ROOT / "src/fastlambda")
        (self.runtime / "bootstrap.py").write_text(AWS_CLIENT)
        (self.task / "app.py").write_text("def handler(event, context):\n    return event\n")

    def start(self, runtime_api: str, handler: str = "app.handler", fd: int = -1, **env: str) -> tuple[int, str, str]:
        variables = {"LAMBDA_TASK_ROOT": str(self.task), "AWS_LAMBDA_RUNTIME_API": runtime_api, "_HANDLER": handler}
        if fd >= 0:
            variables["_LAMBDA_TELEMETRY_LOG_FD"] = str(fd)
        done = subprocess.run(
            [self.opt / "fastlambda-wrapper", sys.executable, self.runtime / "bootstrap.py"],
            env=clean_env(**variables, **env), cwd=self.task, capture_output=True, text=True, timeout=PATIENCE,
            pass_fds=[fd] if fd >= 0 else [],
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    def damage(self, code: str) -> None:
        """Has something of ours changed before it starts."""
        wrapper = self.opt / "fastlambda-wrapper"
        line = "    from fastlambda._core import main_managed\n"
        text = wrapper.read_text()
        assert text.count(line) == 1
        (self.runtime / "damage.py").write_text(code)
        wrapper.write_text(text.replace(line, f'    exec(open("{self.runtime}/damage.py").read())\n{line}'))


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    return Layer(tmp_path)


def went_back(layer: Layer, done: tuple[int, str, str], fd: str | None = None, path: str | None = None) -> bool:
    code, out, err = done
    lines = [line for line in err.splitlines() if line.startswith("fastlambda cannot start: ")]
    if not lines:
        return False
    assert len(err.splitlines()) == 1 and lines[0].endswith("; AWS's client runs instead"), err
    assert (code, json.loads(out)) == (0, [[str(layer.runtime / "bootstrap.py")], 0, path, fd])
    return True


@pytest.mark.parametrize(
    "code",
    [NEXT_PYTHON, "import _sitebuiltins; del _sitebuiltins._Helper"],
    ids=["a scanner with one more setting", "no helper for help()"],
)
def test_a_python_that_has_changed_inside_runs_the_function_on_awss_client(layer: Layer, code: str) -> None:
    layer.damage(code)
    with ScriptedServer() as server:
        done = layer.start(server.address)
    assert went_back(layer, done), done


def test_the_log_descriptor_goes_back_too(layer: Layer) -> None:
    layer.damage("import sys; sys.meta_path = None")  # where the watch for logging is put
    inner, outer = os.pipe()
    try:
        done = layer.start("127.0.0.1:9", fd=outer)
    finally:
        os.close(inner)
        os.close(outer)
    assert went_back(layer, done, fd=str(outer)), done


def test_an_owners_python_path_is_left_alone(layer: Layer) -> None:
    layer.damage(NEXT_PYTHON)
    done = layer.start("127.0.0.1:9", PYTHONPATH=str(layer.opt / "python"))
    assert went_back(layer, done, path=str(layer.opt / "python")), done


@pytest.mark.parametrize("variable", ["FASTLAMBDA_JSON", "FASTLAMBDA_TIMEOUT_MARGIN_MS"])
def test_a_setting_that_is_wrong_is_told_in_one_line(layer: Layer, variable: str) -> None:
    done = layer.start("127.0.0.1:9", **{variable: "nonsense"})
    assert went_back(layer, done) and variable in done[2] and "nonsense" in done[2], done


def test_strict_ends_the_process(layer: Layer) -> None:
    layer.damage(NEXT_PYTHON)
    code, out, err = layer.start("127.0.0.1:9", FASTLAMBDA_STRICT="1")
    assert (code, out) == (1, "") and "FASTLAMBDA_STRICT=1 forbids" in err


@pytest.mark.parametrize("source", ["import not_there\n", "raise OSError('mine')\n", "handler = \n", "", "1 / 0\n"])
def test_a_fault_of_the_function_is_reported_and_not_run_again(layer: Layer, source: str) -> None:
    (layer.task / "app.py").write_text(source)
    seen = []

    def report(connection):  # type: ignore[no-untyped-def]
        peer = Peer(connection)
        seen.append(peer.expect(b"POST /2018-06-01/runtime/init/error"))
        peer.send(ACCEPTED)

    with ScriptedServer(report) as server:
        code, out, err = layer.start(server.address)
    assert code == 1 and "[ERROR]" in out and "cannot start" not in err
    assert json.loads(seen[0])["errorType"]


def test_after_the_first_poll_nothing_goes_back(layer: Layer) -> None:
    def refuse(connection):  # type: ignore[no-untyped-def]
        peer = Peer(connection)
        peer.expect(b"GET /2018-06-01/runtime/invocation/next")
        peer.send(answer_with(b"500 Internal Server Error"))

    with ScriptedServer(refuse) as server:
        code, out, err = layer.start(server.address)
    assert (code, out) == (1, "") and "cannot start" not in err and "500" in err


def test_a_function_is_answered_by_fastlambda(layer: Layer) -> None:
    def serve(connection):  # type: ignore[no-untyped-def]
        peer = Peer(connection)
        peer.expect(b"GET ")
        peer.send(event_answer(b'{"a":1}'))
        assert peer.expect(b"POST ") == b'{"a":1}'
        peer.send(ACCEPTED)
        peer.expect(b"GET ")
        peer.send(answer_with(b"500 Internal Server Error"))

    with ScriptedServer(serve) as server:
        code, out, err = layer.start(server.address)
    assert (code, out) == (1, "") and "cannot start" not in err, err
