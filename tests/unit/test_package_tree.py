"""What of a function's folder `fastlambda package` packs, refuses and names, and that nothing is left behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
from small_wheels import make_wheel
from support import PATIENCE, ROOT, clean_env

from fastlambda.local import cli
from fastlambda.packaging.rules import NOT_CODE
from fastlambda.packaging.rules import SECRETS as SECRETS_LIST

# One of each kind that SECRETS of packaging/rules.py names.
SECRETS = [
    *(".env", ".env.production", "prod.env", ".ENV", ".envrc", ".aws/credentials", ".ssh/id_ed25519", "id_rsa"),
    *(".netrc", "_netrc", ".npmrc", ".pypirc", "server.pem", "certs/Server.PEM", "tls.key", "store.p12", "store.pfx"),
    *("terraform.tfstate", "terraform.tfstate.backup", "infra/prod.tfvars", ".terraform/x", ".git/config", ".pgpass"),
    *(".docker/config.json", ".kube/config", ".azure/accessTokens.json", ".config/gcloud/access_tokens.db"),
    *(
        "my-service-account-1.json",
        "client_secret_1.json",
        ".git-credentials",
        ".bash_history",
        ".streamlit/secrets.toml",
    ),
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context):\n    return event\n")
    return folder


def put(source: Path, name: str, content: bytes = b"content") -> None:
    (source / name).parent.mkdir(parents=True, exist_ok=True)
    (source / name).write_bytes(content)


def package(source: Path, *more: str) -> int:
    return cli.main(["package", str(source), "-o", str(source.parent / "function.zip"), *more])


def held(source: Path) -> set[str]:
    with zipfile.ZipFile(source.parent / "function.zip") as packed:
        return {name for name in packed.namelist() if "__pycache__" not in name}


# ---- secrets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SECRETS)
def test_what_may_hold_a_secret_is_left_out_and_told(source, capsys, name):
    put(source, name)
    assert package(source) == 0
    assert held(source) == {"app.py"}
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("LEFT OUT, may hold secrets"))
    told = line.partition("): ")[2]
    assert name.startswith(told) and "--include" in line


@pytest.mark.parametrize("pattern", ["{name}", "{last}", "*"])
@pytest.mark.parametrize("name", [".env", ".aws/credentials", "certs/server.pem", ".git/hooks/x"])
def test_who_means_it_packs_it(source, name, pattern):
    put(source, name)
    put(source, ".ssh/other")
    given = pattern.format(name=name, last=name.rpartition("/")[2])
    is_in_a_folder_left_out = name.startswith((".aws/", ".git/"))
    assert package(source, "--include", given) == 0
    if pattern == "{last}" and is_in_a_folder_left_out:
        assert held(source) == {"app.py"}  # nobody looks for a name in folders that stay behind
    else:
        assert held(source) == {"app.py", name, *([".ssh/other"] if pattern == "*" else [])}


def test_exclude_is_stronger_than_include(source):
    put(source, ".aws/credentials")
    put(source, ".aws/config")
    assert package(source, "--include", ".aws/*", "--exclude", "config") == 0
    assert held(source) == {"app.py", ".aws/credentials"}


def test_certificates_alone_are_no_secret_and_with_a_key_they_are(source):
    certificate = b"# root\n-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"
    put(source, "certifi/cacert.pem", certificate)
    put(source, "both.pem", certificate + b"-----BEGIN RSA PRIVATE KEY-----\nMII=\n-----END RSA PRIVATE KEY-----\n")
    put(source, "ca.key", certificate)
    assert package(source) == 0
    assert held(source) == {"app.py", "certifi/cacert.pem"}


def test_what_packages_bring_is_not_searched_for_secrets(source, tmp_path):
    (tmp_path / "wheels").mkdir()
    make_wheel(tmp_path / "wheels", "trusting", files={"trusting/cacert.pem": b"anything", "trusting/.env": b""})
    put(source, "requirements.txt", b"trusting\n")
    assert package(source, "--no-index", "--find-links", str(tmp_path / "wheels")) == 0
    assert {"trusting/cacert.pem", "trusting/.env"} <= held(source)


def test_everything_else_that_is_left_out_is_told_too(source, capsys):
    for name in ("__pycache__/x.pyc", "a/__pycache__/x.pyc", ".venv/bin/python", "x.egg-info/PKG-INFO", "big.bin"):
        put(source, name)
    put(source, "a/x.py", b"")
    put(source, "x.py", b"")
    assert package(source, "--exclude", "*.bin") == 0
    assert held(source) == {"app.py", "x.py", "a/x.py"}
    said = capsys.readouterr().out.splitlines()
    assert "left out, --exclude: big.bin" in said
    assert "left out, no code: .venv, __pycache__ (2 times), x.egg-info" in said


def test_a_file_of_one_s_own_in_the_place_of_a_package_s_is_packed_and_told(source, tmp_path, capsys):
    (tmp_path / "wheels").mkdir()
    make_wheel(tmp_path / "wheels", "brings")
    put(source, "requirements.txt", b"brings\n")
    put(source, "brings.py", b"MINE = True\n")
    assert package(source, "--no-index", "--find-links", str(tmp_path / "wheels")) == 0
    assert "NOTE: your files, in the place of those that packages bring: brings.py" in capsys.readouterr().out
    with zipfile.ZipFile(source.parent / "function.zip") as packed:
        assert packed.read("brings.py") == b"MINE = True\n"


def test_an_empty_folder_is_not_packed_and_told(source, capsys):
    (source / "data/empty").mkdir(parents=True)
    assert package(source) == 0
    assert "left out, no code: data/empty/, which is empty" in capsys.readouterr().out


def test_old_zips_and_tests_are_packed_with_a_note(source, capsys):
    for name in ("old.zip", "tests/test_app.py", "tests/conftest.py", "conftest.py"):
        put(source, name, b"")
    assert package(source) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("NOTE: packed with the rest"))
    assert line.endswith("conftest.py, old.zip, tests/")
    assert held(source) == {"app.py", "old.zip", "tests/test_app.py", "tests/conftest.py", "conftest.py"}


# ---- links and what is no file ---------------------------------------------------------------------------------------


def links_in(path: Path) -> dict[str, str]:
    with zipfile.ZipFile(path) as packed:
        found = [info for info in packed.infolist() if stat.S_ISLNK(info.external_attr >> 16)]
        return {info.filename: packed.read(info).decode() for info in found}


def test_links_inside_the_tree_stay_links_that_are_right_in_lambda(source):
    put(source, "lib/real.py", b"")
    put(source, "deep/er/x", b"")
    for name, says in {
        "near.py": "lib/real.py",
        "lib/up": "../app.py",
        "here": ".",
        "folder": "lib",
        "chain.py": "near.py",
        "absolute.py": str(source / "lib/real.py"),
        "around": "../src/app.py",
        "deep/er/out": "../../lib",
    }.items():
        (source / name).symlink_to(says)
    assert package(source) == 0
    assert links_in(source.parent / "function.zip") == {
        "near.py": "lib/real.py",
        "lib/up": "../app.py",
        "here": ".",
        "folder": "lib",
        "chain.py": "lib/real.py",
        "absolute.py": "lib/real.py",
        "around": "app.py",
        "deep/er/out": "../../lib",
    }


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ("/etc/passwd", "out of"),
        ("/dev/zero", "out of"),
        ("../outside", "out of"),
        ("/", "out of"),
        ("not-there", "leads nowhere (No such file or directory)"),
        ("link", "leads nowhere (Too many levels of symbolic links)"),
    ],
)
def test_other_links_are_refused_by_name(source, capsys, says, told):
    put(source.parent, "outside")
    (source / "sub").mkdir()
    where = "link" if says == "link" else "sub/link"
    (source / where).symlink_to(says if not says.startswith("../") else "../" + says)
    assert package(source) == 1
    said = capsys.readouterr().err
    assert f"{source / where} is a link to" in said and told in said and "--exclude" in said
    assert len(said.splitlines()) == 1
    assert sorted(os.listdir(source.parent)) == ["outside", "src"]


def test_a_link_to_what_is_left_out_is_left_out_and_told(source, capsys):
    put(source, ".env")
    put(source, ".git/config")
    (source / "settings").symlink_to(".env")
    (source / "again").symlink_to("settings")
    (source / "config").symlink_to(".git/config")
    assert package(source) == 0
    assert held(source) == {"app.py"}
    said = capsys.readouterr().out
    assert all(f"{name}, a link to what is left out" in said for name in ("settings", "again", "config"))


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(path.parent)  # its address has a hundred bytes
        server.bind(path.name)


def make_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("only root makes devices")


@pytest.mark.parametrize(
    ("make", "kind"), [(os.mkfifo, "a pipe"), (make_socket, "a socket"), (make_device, "a device")]
)
def test_what_is_no_file_is_refused_by_name(source, capsys, monkeypatch, make, kind):
    monkeypatch.chdir(source)
    make(source / "odd")
    assert package(source) == 1
    assert f"{source / 'odd'} is {kind}" in capsys.readouterr().err
    assert package(source, "--exclude", "odd") == 0


def test_a_name_that_is_not_utf_8_is_refused_with_the_name(source, capsys):
    (source / os.fsdecode(b"caf\xe9.txt")).touch()
    assert package(source) == 1
    said = capsys.readouterr().err
    assert "caf\\xe9.txt" in said and "UTF-8" in said and "codec" not in said


def test_a_file_where_the_requirements_bring_a_folder_is_refused_by_name(source, tmp_path, capsys):
    (tmp_path / "wheels").mkdir()
    make_wheel(tmp_path / "wheels", "brings", files={"thing/__init__.py": b"", "other.py": b""})
    find = ("--no-index", "--find-links", str(tmp_path / "wheels"))
    put(source, "requirements.txt", b"brings\n")
    put(source, "thing")
    assert package(source, *find) == 1
    assert f"{source / 'thing'} is a file, and the requirements bring a folder" in capsys.readouterr().err
    (source / "thing").unlink()
    put(source, "other.py/x")
    assert package(source, *find) == 1
    assert f"{source / 'other.py'} is a folder, and the requirements bring a file" in capsys.readouterr().err


# ---- nothing is left behind ------------------------------------------------------------------------------------------


def test_a_file_that_never_ends_is_read_no_further_than_lambda_s_limit(source, capsys, monkeypatch):
    """It says that it has no bytes, as files of the kernel do, and goes on and on."""
    real = os.open
    put(source, "endless", b"")
    monkeypatch.setattr("fastlambda.packaging.archive.MAX_UNPACKED", 10_000_000)

    def swapped(path: os.PathLike[str], flags: int, *more: int, **named: int) -> int:
        if Path(path).name == "endless":
            (source / "endless").write_bytes(bytes(20_000_000))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", swapped)
    assert package(source) == 1
    assert "10,000,000" in capsys.readouterr().err
    assert os.listdir(source.parent) == ["src"]


def test_a_file_that_became_something_else_is_refused(source, capsys, monkeypatch):
    put(source, "odd")
    real = os.open

    def swapped(path: os.PathLike[str], flags: int, *more: int, **named: int) -> int:
        if Path(path).name == "odd":
            (source / "odd").unlink()
            os.mkfifo(source / "odd")
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", swapped)
    assert package(source) == 1
    assert "odd is not a file any more" in capsys.readouterr().err


SLOW_PIP = """
import os, time
open(os.environ["TMPDIR"] + "/of-pip", "w").close()
child = os.fork()
if child:
    with open(os.environ["FIFO"], "w") as told:
        told.write(f"{os.getpid()} {child}")
time.sleep(600)
"""


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_nothing_is_left_behind_when_a_signal_ends_it(source, tmp_path, signum):
    """While pip is at work, and with a child of its own."""
    (tmp_path / "tmp").mkdir()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    (tmp_path / "pip/_vendor/packaging").mkdir(parents=True)
    for name in ("pip", "pip/_vendor", "pip/_vendor/packaging"):
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "pip/_vendor/packaging/markers.py").write_text(SLOW_PIP)
    put(source, "requirements.txt", b"anything\n")
    env = clean_env(TMPDIR=str(tmp_path / "tmp"), PYTHONPATH=f"{tmp_path}:{ROOT / 'src'}", FIFO=str(fifo))
    out = tmp_path / "out"
    out.mkdir()
    command = [sys.executable, "-m", "fastlambda.local.cli", "package", str(source), "-o", str(out / "f.zip")]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as child:
        pids = [int(word) for word in fifo.read_text().split()]
        assert os.listdir(tmp_path / "tmp")  # something is there to be left
        child.send_signal(signum)
        _, said = child.communicate(timeout=PATIENCE)
    assert (child.returncode, said) == (128 + signum, "")
    assert os.listdir(tmp_path / "tmp") == [] and os.listdir(out) == []
    assert len(pids) == 2
    deadline = time.monotonic() + PATIENCE
    while any(is_running(pid) for pid in pids):  # a killed process is there until its parent has looked
        assert time.monotonic() < deadline, "pip goes on"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_zip_that_cannot_be_finished_leaves_the_old_one(source, capsys, monkeypatch):
    assert package(source) == 0
    before = (source.parent / "function.zip").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    assert package(source) == 1
    assert "No space left" in capsys.readouterr().err
    assert sorted(os.listdir(source.parent)) == ["function.zip", "src"]
    assert (source.parent / "function.zip").read_bytes() == before


# ---- the documentation ----------------------------------------------------------------------------------------------


def test_the_documentation_has_the_lists_as_they_are():
    text = (ROOT / "docs/packages.md").read_text()
    _, _, lists = text.partition("No code:\n")
    no_code, _, secrets = lists.partition("What may hold a secret")
    secrets, _, _ = secrets.partition("A `*.pem` of")
    assert re.findall(r"`([^`]+)`", no_code) == [*NOT_CODE, "x.pyc", "x.py"]
    assert re.findall(r"`([^`]+)`", secrets) == list(SECRETS_LIST)
