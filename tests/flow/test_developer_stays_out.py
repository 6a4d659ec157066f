"""Nothing of the developer's reaches a function on this machine unless it is passed on purpose."""

from __future__ import annotations

import json
import os
import site
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import PATIENCE, clean_env
from test_invoke_cli import command

from fastlambda.local.process import lambda_environment, without_password

MARK = "DEVELOPERS-OWN"
APP = """
import os
import botocore.session

def read(path):
    try:
        with open(os.path.expanduser(path)) as file:
            return file.read()
    except OSError as exc:
        return type(exc).__name__

def handler(event, context):
    found = botocore.session.Session().get_credentials()
    try:
        os.makedirs(os.path.expanduser("~/.cache"))
        made = True
    except OSError:
        made = False
    return {
        "environment": dict(os.environ),
        "credentials": found and [found.access_key, found.secret_key, found.token, found.method],
        "files": {path: read(path) for path in event},
        "made": made,
    }
"""
FILES = {
    "~/.aws/credentials": f"[default]\naws_access_key_id={MARK}-1\naws_secret_access_key={MARK}\n"
    f"[dev]\naws_access_key_id={MARK}-dev\naws_secret_access_key={MARK}-s\naws_session_token={MARK}-t\n",
    "~/.aws/config": "[profile dev]\nregion = eu-north-1\n",
    "~/.netrc": f"machine h login u password {MARK}",
    "~/.pgpass": f"*:*:*:*:{MARK}",
    "~/.ssh/id_rsa": MARK,
    "~/.config/gh/hosts.yml": MARK,
    "~/.docker/config.json": MARK,
}
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
# Variables that a developer's shell has, or a container or a machine in a cloud.
SHELL = (  # one text: the list of words is longer than a screen
    "AWS_PROFILE AWS_DEFAULT_PROFILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_SECURITY_TOKEN "
    "AWS_CONTAINER_CREDENTIALS_FULL_URI AWS_CONTAINER_CREDENTIALS_RELATIVE_URI AWS_CONTAINER_AUTHORIZATION_TOKEN "
    "AWS_WEB_IDENTITY_TOKEN_FILE AWS_ROLE_ARN AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_ENDPOINT_URL "
    "AWS_EC2_METADATA_SERVICE_ENDPOINT AWS_VAULT AWS_CA_BUNDLE SSH_AUTH_SOCK SSH_AGENT_PID GPG_AGENT_INFO "
    "XDG_CONFIG_HOME XDG_RUNTIME_DIR XDG_DATA_HOME XDG_CACHE_HOME DBUS_SESSION_BUS_ADDRESS USER LOGNAME MAIL "
    "GITHUB_TOKEN GOOGLE_APPLICATION_CREDENTIALS AZURE_CLIENT_SECRET KUBECONFIG DOCKER_CONFIG PGPASSWORD NETRC "
    "PIP_INDEX_URL NPM_TOKEN OPENAI_API_KEY PYTHONSTARTUP OLDPWD PWD"
)


@pytest.fixture
def developer(tmp_path: Path) -> dict[str, str]:
    """A developer's environment: whatever it names, and what lies in its home, has the mark."""
    (tmp_path / "app.py").write_text(APP)
    home = tmp_path / MARK
    for name, content in FILES.items():
        path = home / name.removeprefix("~/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    proxy = f"http://{MARK}:{MARK}@127.0.0.1:9"
    return dict.fromkeys(SHELL.split(), MARK) | {"HOME": str(home), "HTTPS_PROXY": proxy, "http_proxy": proxy}


def invoke(developer: dict[str, str], folder: Path, *more: str, without: str = "") -> subprocess.CompletedProcess[str]:
    env = clean_env() | developer
    env = {name: value for name, value in env.items() if not (without and name.startswith(without))}
    line = command("invoke", "app.handler", json.dumps(list(FILES)), "--timeout", "30", *more)
    return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE)


def seen(developer: dict[str, str], folder: Path, *more: str, without: str = "") -> Any:
    done = invoke(developer, folder, *more, without=without)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_of_the_developers_is_seen(developer: dict[str, str], tmp_path: Path) -> None:
    said = seen(developer, tmp_path)
    assert MARK not in json.dumps({**said, "environment": {**said["environment"], "PATH": "", "LAMBDA_TASK_ROOT": ""}})
    assert said["credentials"] is None
    assert set(said["files"].values()) == {"FileNotFoundError"}
    assert not said["made"], "no home to write into, as in Lambda"
    assert said["environment"]["AWS_EC2_METADATA_DISABLED"] == "true"
    assert said["environment"]["HTTPS_PROXY"] == "http://127.0.0.1:9"


def test_a_profile_is_passed_on_purpose(developer: dict[str, str], tmp_path: Path) -> None:
    said = seen(developer, tmp_path, "--with-credentials=dev", without="AWS_")
    assert said["credentials"] == [f"{MARK}-dev", f"{MARK}-s", f"{MARK}-t", "env"]
    assert said["environment"]["AWS_REGION"] == "eu-north-1"
    assert set(said["files"].values()) == {"FileNotFoundError"}, "credentials, and not the home"
    assert "AWS_PROFILE" not in said["environment"]


def test_without_a_name_it_is_what_the_cli_would_use(developer: dict[str, str], tmp_path: Path) -> None:
    said = seen(developer, tmp_path, "--with-credentials", without="AWS_")
    assert said["credentials"][:3] == [f"{MARK}-1", MARK, None]
    for name in [name for name in developer if name.startswith("AWS_") and name not in KEYS]:
        del developer[name]
    assert seen(developer, tmp_path, "--with-credentials")["credentials"] == [MARK, MARK, MARK, "env"]


def test_what_is_named_wins(developer: dict[str, str], tmp_path: Path) -> None:
    more = ("--with-credentials=dev", "--env", "AWS_ACCESS_KEY_ID=mine", "--env", "HOME", "--env", "HTTPS_PROXY")
    said = seen(developer, tmp_path, *more, without="AWS_")
    assert said["credentials"][0] == "mine"
    assert said["environment"]["HOME"] == developer["HOME"]
    assert said["environment"]["HTTPS_PROXY"] == developer["HTTPS_PROXY"]
    assert MARK in said["files"]["~/.netrc"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--with-credentials=nobody"], "The config profile (nobody) could not be found"),
        (["--env", "AWS_PROFILE"], f"--with-credentials={MARK}"),
    ],
    ids=["no such profile", "a profile that the function cannot read"],
)
def test_what_cannot_be_passed_is_told_before_anything_starts(
    developer: dict[str, str], tmp_path: Path, more: list[str], words: str
) -> None:
    developer = {name: value for name, value in developer.items() if not name.startswith("AWS_")}
    done = invoke({**developer, "AWS_PROFILE": MARK}, tmp_path, *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr and "Traceback" not in done.stderr


def test_no_credentials_are_told_with_what_to_do(developer: dict[str, str], tmp_path: Path) -> None:
    (Path(developer["HOME"]) / ".aws/credentials").unlink()
    developer = {name: value for name, value in developer.items() if not name.startswith("AWS_")}
    done = invoke({**developer, "AWS_EC2_METADATA_DISABLED": "true"}, tmp_path, "--with-credentials")
    assert done.returncode == 2
    assert "aws configure" in done.stderr


@pytest.mark.parametrize(
    ("address", "left"),
    [
        ("http://u:p@h:1/x", "http://h:1/x"),
        ("http://u:p@ss@h", "http://h"),
        ("u:p@h:1", "h:1"),
        ("http://h:1", "http://h:1"),
        ("http://h/a@b", "http://b"),  # as urllib reads it: of the user "h/a"
        ("http://u:p/q@h:80", "http://h:80"),
        ("//u:p@h", "h"),
        ("", ""),
    ],
)
def test_a_proxy_is_passed_without_its_password(address: str, left: str) -> None:
    assert without_password(address) == left


@pytest.mark.parametrize("is_used", [True, False])
def test_packages_installed_for_the_user_are_found_without_the_home(
    is_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "ENABLE_USER_SITE", is_used)
    env = lambda_environment("a.b", "127.0.0.1:1")
    assert env.get("PYTHONUSERBASE") == (site.getuserbase() if is_used else None)
    assert not os.path.exists(env["HOME"])
