"""Every example in deploy/ is accepted by the tool of its format, and agrees with what the commands make."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hcl2
import pytest
from support import ROOT, AwsServer, clean_env

from fastlambda.packaging.bundle import WRAPPER

DEPLOY = ROOT / "deploy"
TOOLS = Path(sys.executable).parent


def accepted_by(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=clean_env())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("template", sorted(DEPLOY.glob("sam/*.yaml")), ids=lambda path: path.name)
def test_cfn_lint_accepts_the_template(template):
    accepted_by(TOOLS / "cfn-lint", template)


@pytest.mark.parametrize("dockerfile", sorted(DEPLOY.glob("image/*.Dockerfile")), ids=lambda path: path.name)
def test_hadolint_accepts_the_dockerfile(dockerfile):
    accepted_by(TOOLS / "hadolint", dockerfile)


@pytest.mark.parametrize(
    "script", [DEPLOY / "provided/bootstrap", ROOT / "src/fastlambda/packaging/wrapper.sh"], ids=lambda path: path.name
)
def test_shellcheck_accepts_the_script(script):
    accepted_by(TOOLS / "shellcheck", "--shell=sh", "--severity=style", script)


def test_terraform_reads_the_configuration():
    """Its providers cannot be had everywhere, so `terraform validate` is not run: parsed, and its format checked."""
    text = (DEPLOY / "terraform/main.tf").read_text()
    parsed = hcl2.loads(text)
    (function,) = [kind for kind in parsed["resource"] if "aws_lambda_function" in str(list(kind))]
    assert WRAPPER in str(function)
    if terraform := shutil.which("terraform"):
        accepted_by(terraform, "fmt", "-check", "-diff", DEPLOY / "terraform")


def test_all_examples_name_the_wrapper_as_the_layer_has_it():
    found = [
        name
        for path in DEPLOY.rglob("*")
        if path.is_file()
        for name in re.findall(r"AWS_LAMBDA_EXEC_WRAPPER\W+(/[\w/-]+)", path.read_text())
    ]
    assert len(found) == 4 and set(found) == {f"/opt/{WRAPPER}"}


def test_the_bootstrap_for_provided_runtimes_starts_the_function(installed, tmp_path):
    task = tmp_path / "task"
    task.mkdir()
    (task / "python").symlink_to(Path(installed.python[0]).parent.parent)
    shutil.copy(installed.folder / "functions.py", task)
    bootstrap = DEPLOY / "provided/bootstrap"
    assert os.access(bootstrap, os.X_OK)
    env = clean_env(LAMBDA_TASK_ROOT=str(task))
    with AwsServer([str(bootstrap), "unused", "functions.echo"], env, tmp_path) as server:
        assert server.invoke(b'{"a":1}') == (200, b'{"a":1}'), server.log


def test_the_bootstrap_for_provided_runtimes_says_when_there_is_no_python(tmp_path):
    env = clean_env(LAMBDA_TASK_ROOT=str(tmp_path))
    done = subprocess.run([DEPLOY / "provided/bootstrap"], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and f"no python3 in {tmp_path}/python/bin" in done.stderr
