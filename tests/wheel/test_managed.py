"""An unchanged function in a simulated managed runtime, on AWS's client and on the layer: the same answers."""

import json
import shutil
import subprocess
import sys

import pytest
from managed import Managed, make_layer
from support import ROOT, clean_env

WRAPPER = "/opt/fastlambda-wrapper"
EVENTS = [b'{"a": "h\xc3\xa9"}', b'{"list": [1, 2.5, null]}', b'{"fail": true}']
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def layer(wheelhouse, tmp_path_factory):
    path = tmp_path_factory.mktemp("layer") / "layer.zip"
    make_layer(path, MINOR, str(wheelhouse))
    return path


@pytest.fixture(scope="module")
def managed(layer, tmp_path_factory):
    return Managed(tmp_path_factory.mktemp("managed"), sys.executable, layer)


def test_the_layer_is_small_and_the_same_each_time(layer, wheelhouse, tmp_path):
    make_layer(tmp_path / "again.zip", MINOR, str(wheelhouse))
    assert (tmp_path / "again.zip").read_bytes() == layer.read_bytes()
    assert layer.stat().st_size < 1_500_000


def test_requirements_that_name_the_developer_s_tools_change_nothing(layer, wheelhouse, tmp_path):
    (tmp_path / "requirements.txt").write_text("fastlambda[local]\n")
    make_layer(tmp_path / "local.zip", MINOR, str(wheelhouse), "-r", str(tmp_path / "requirements.txt"))
    assert (tmp_path / "local.zip").read_bytes() == layer.read_bytes()


def answers(managed, wrapper, logs, **env):
    with managed.serve(wrapper, logs, **env) as server:
        said = [json.loads(server.invoke(event)[1]) for event in EVENTS]
        log = server.log
    for answer in said:
        answer.pop("requestId", None)
    return said, log


def test_a_function_sees_the_same_on_aws_s_client_and_on_the_layer(managed, tmp_path):
    without, _ = answers(managed, None, tmp_path)
    with_layer, log = answers(managed, WRAPPER, tmp_path)
    assert with_layer == without
    assert with_layer[0]["modules"] == ["layer", "pth"]
    assert "cannot start" not in log


def test_an_owner_s_python_path_is_kept_and_ours_comes_after_the_library(managed, tmp_path):
    path = f"{managed.root}/opt/python"
    without, _ = answers(managed, None, tmp_path, PYTHONPATH=path)
    with_layer, log = answers(managed, WRAPPER, tmp_path, PYTHONPATH=path)
    ours = f"/opt/python/lib/python{MINOR}/site-packages"
    for answer in with_layer[:2]:
        seen = answer["path"]
        assert seen.index(ours) > seen.index(f"/var/lang/lib/python{MINOR}/lib-dynload")
        seen.remove(ours)
    assert with_layer == without
    assert "cannot start" not in log


def test_site_files_of_the_interpreter_are_run(layer, tmp_path):
    managed = Managed(tmp_path / "root", sys.executable, layer)
    site = tmp_path / f"root/var/lang/lib/python{MINOR}/site-packages"
    (site / "sitecustomize.py").write_text("import os\nos.environ['SEEN'] = 'sitecustomize'\n")
    (managed.task / "app.py").write_text("import os\ndef handler(event, context):\n    return os.environ.get('SEEN')\n")
    for wrapper in (None, WRAPPER):
        with managed.serve(wrapper, tmp_path) as server:
            assert server.invoke(b"{}")[1] == b'"sitecustomize"', server.log


@pytest.mark.parametrize("damage", ["missing", "broken", "old python"])
def test_aws_s_client_answers_when_fastlambda_cannot_start(layer, tmp_path, damage):
    managed = Managed(tmp_path / "root", sys.executable, layer)
    package = tmp_path / f"root/opt/python/lib/python{MINOR}/site-packages/fastlambda"
    if damage == "missing":
        shutil.rmtree(package)
    elif damage == "broken":
        (package / "_core.abi3.so").write_bytes(b"\x7fELF broken")
    else:
        wrapper = tmp_path / "root/opt/fastlambda-wrapper"
        text = wrapper.read_text()
        assert "(3, 11)" in text
        wrapper.write_text(text.replace("(3, 11)", "(3, 99)"))  # as if this Python were too old
    without, _ = answers(managed, None, tmp_path)
    with_layer, log = answers(managed, WRAPPER, tmp_path)
    assert with_layer == without
    assert log.count("fastlambda cannot start: ") == 1 and "AWS's client runs instead" in log


def test_strict_ends_the_process_when_fastlambda_cannot_start(layer, tmp_path):
    managed = Managed(tmp_path / "root", sys.executable, layer)
    shutil.rmtree(tmp_path / f"root/opt/python/lib/python{MINOR}/site-packages/fastlambda")
    with managed.serve(WRAPPER, tmp_path, FASTLAMBDA_STRICT="1") as server:
        server.invoke(b"{}")
        assert "FASTLAMBDA_STRICT=1 forbids" in server.log and "Runtime exited with error: exit status 1" in server.log


def test_a_package_with_the_runtime_needs_no_layer(wheelhouse, tmp_path):
    import zipfile

    managed = Managed(tmp_path / "root", sys.executable, None)
    command = [sys.executable, "-m", "fastlambda.local.cli", "package", str(managed.task), "--with-runtime"]
    command += ["--python", MINOR, "--find-links", str(wheelhouse), "-o", str(tmp_path / "function.zip")]
    subprocess.run(command, check=True, env=clean_env(), cwd=ROOT)
    shutil.rmtree(managed.task)
    with zipfile.ZipFile(tmp_path / "function.zip") as packed:
        for info in packed.infolist():
            path = packed.extract(info, managed.task)
            subprocess.run(["chmod", oct(info.external_attr >> 16 & 0o777)[2:], path], check=True)
    (tmp_path / "root/opt/python/from_layer.py").rename(
        managed.task / "from_layer.py"
    )  # /opt of this machine is not ours
    with managed.serve("/var/task/fastlambda-wrapper", tmp_path) as server:
        assert json.loads(server.invoke(b'{"a": 1}')[1])["event"] == {"a": 1}, server.log
        assert "cannot start" not in server.log


def test_the_wrapper_explains_itself_when_run_by_hand(managed):
    done = subprocess.run([f"{managed.root}{WRAPPER}"], capture_output=True, text=True, env=clean_env())
    assert done.returncode == 64 and "AWS_LAMBDA_EXEC_WRAPPER" in done.stderr


def test_the_start_behind_the_wrapper_opens_no_file_beyond_the_import(managed, tmp_path):
    trace = tmp_path / "trace"
    env = clean_env(
        LAMBDA_TASK_ROOT=str(managed.task), LAMBDA_RUNTIME_DIR=f"{managed.root}/var/runtime",
        AWS_LAMBDA_RUNTIME_API="127.0.0.1:1", _HANDLER="empty.handler",
    )  # fmt: skip
    (managed.task / "empty.py").write_text("import os\nos._exit(0)\n")
    command = ["strace", "-f", "-e", "trace=openat", "-o", str(trace), f"{managed.root}{WRAPPER}"]
    command += [f"{managed.root}/var/lang/bin/python{MINOR}", f"{managed.root}/var/runtime/bootstrap.py"]
    subprocess.run(command, check=True, env=env, cwd=managed.task)
    below = f"{managed.root}/opt/"
    opened = [
        line.partition('"')[2].partition('"')[0] for line in trace.read_text().splitlines() if " = -1 " not in line
    ]
    ours = [path.removeprefix(below) for path in opened if path.startswith(below) and "." in path.rpartition("/")[2]]
    site = f"python/lib/python{MINOR}/site-packages/fastlambda"
    tag = sys.implementation.cache_tag
    assert ours == [f"{site}/__pycache__/__init__.{tag}.pyc", f"{site}/_core.abi3.so"]
