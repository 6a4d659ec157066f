"""The zips of `fastlambda layer` and `fastlambda package`: what is in them, and that it is the same each time."""

import importlib.util
import marshal
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fastlambda.local import cli
from fastlambda.packaging import archive, bundle, bytecode, target
from fastlambda.packaging.errors import BadArgument, TooLarge

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


def names_and_modes(path: Path) -> dict[str, int]:
    with zipfile.ZipFile(path) as packed:
        return {info.filename: info.external_attr >> 16 & 0o777 for info in packed.infolist()}


@pytest.fixture
def code(tmp_path):
    folder = tmp_path / "code"
    (folder / "pkg/__pycache__").mkdir(parents=True)
    (folder / "pkg/__pycache__/old.pyc").write_bytes(b"stale")
    (folder / "pkg/__init__.py").write_text("NAMES = {'b', 'a'}\n")
    (folder / "app.py").write_text("def handler(event, context):\n    return event\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / ".git").mkdir()
    (folder / ".git/HEAD").write_text("ref")
    return folder


def options(tmp_path, **more):
    return bundle.Options([MINOR], "x86_64", tmp_path / "function.zip", **more)


def test_a_package_holds_the_code_and_its_bytecode_and_nothing_else(code, tmp_path):
    bundle.make_package(code, options(tmp_path), exclude=[], with_runtime=False)
    tag = sys.implementation.cache_tag
    assert names_and_modes(tmp_path / "function.zip") == {
        f"__pycache__/app.{tag}.pyc": 0o644,
        "app.py": 0o644,
        "pkg/__init__.py": 0o644,
        f"pkg/__pycache__/__init__.{tag}.pyc": 0o644,
        "run.sh": 0o755,
    }


def test_the_same_code_gives_the_same_bytes_whatever_its_times_and_umask(code, tmp_path):
    bundle.make_package(code, options(tmp_path), exclude=[], with_runtime=False)
    first = (tmp_path / "function.zip").read_bytes()
    for path in code.rglob("*.py"):
        os.utime(path, (1, 1))
        path.chmod(0o600)
    bundle.make_package(code, options(tmp_path), exclude=[], with_runtime=False)
    assert (tmp_path / "function.zip").read_bytes() == first


def test_the_bytecode_is_never_checked_against_its_source_and_names_its_place_in_lambda(code, tmp_path):
    bundle.make_package(code, options(tmp_path), exclude=[], with_runtime=False)
    with zipfile.ZipFile(tmp_path / "function.zip") as packed:
        pyc = packed.read(f"__pycache__/app.{sys.implementation.cache_tag}.pyc")
    assert pyc[:4] == importlib.util.MAGIC_NUMBER
    assert int.from_bytes(pyc[4:8], "little") == 0b01  # PEP 552: by hash, not checked
    assert marshal.loads(pyc[16:]).co_filename == "/var/task/app.py"


def test_a_file_that_cannot_be_compiled_is_told_and_kept(code, tmp_path):
    (code / "template.py").write_text("def {name}():\n")
    lines = bundle.make_package(code, options(tmp_path), exclude=[], with_runtime=False)
    assert any("not compiled: /var/task/template.py" in line for line in lines)
    assert "template.py" in names_and_modes(tmp_path / "function.zip")


def test_without_that_python_the_report_warns_and_says_why(code, tmp_path):
    told = bundle.Options(["3.99"], "x86_64", tmp_path / "function.zip")
    lines = bundle.make_package(code, told, exclude=[], with_runtime=False)
    assert any(line.startswith("WARNING: no Python 3.99") and "every cold start compiles" in line for line in lines)
    assert not any(name.endswith(".pyc") for name in names_and_modes(tmp_path / "function.zip"))


def test_the_zip_is_not_packed_into_itself(code, tmp_path):
    out = code / "function.zip"
    for _ in range(2):
        bundle.make_package(code, bundle.Options([MINOR], "x86_64", out), exclude=["pkg"], with_runtime=False)
    assert set(names_and_modes(out)) == {f"__pycache__/app.{sys.implementation.cache_tag}.pyc", "app.py", "run.sh"}


def test_a_single_file_is_a_function_too(code, tmp_path):
    bundle.make_package(code / "app.py", options(tmp_path), exclude=[], with_runtime=False)
    assert "app.py" in names_and_modes(tmp_path / "function.zip")


def test_what_lambda_would_refuse_is_refused_here(code, tmp_path, capsys):
    with (code / "model.bin").open("wb") as file:
        file.truncate(archive.MAX_UNPACKED)
    assert cli.main(["package", str(code), "-o", str(tmp_path / "function.zip")]) == 1
    said = capsys.readouterr().err
    assert "262,144,000" in said and "container image" in said
    assert not (tmp_path / "function.zip").exists()


@pytest.mark.parametrize(("size", "fits"), [(archive.MAX_UNPACKED, True), (archive.MAX_UNPACKED + 1, False)])
def test_the_limit_is_exact(size, fits):
    if fits:
        archive.check_size(size, "it")
    else:
        with pytest.raises(TooLarge):
            archive.check_size(size, "it")


@pytest.mark.parametrize(
    ("python", "arch", "newest", "refused"),
    [
        ("3.11", "x86_64", "manylinux_2_26_x86_64", "manylinux_2_28_x86_64"),  # Amazon Linux 2
        ("3.12", "arm64", "manylinux_2_34_aarch64", "manylinux_2_35_aarch64"),  # Amazon Linux 2023
    ],
)
def test_only_wheels_that_the_runtime_can_load_are_taken(python, arch, newest, refused):
    tags = target.Target(python, arch).platform_tags()
    assert tags[0] == newest and refused not in tags
    assert f"manylinux2014_{target.ARCHITECTURES[arch]}" in tags


@pytest.mark.parametrize("python", ["3.10", "3", "2.7", "3.x", "python3.13"])
def test_a_python_that_fastlambda_does_not_run_on_is_refused(python):
    with pytest.raises(BadArgument, match=r"3\.11 and newer"):
        target.Target(python, "x86_64")


def test_packages_that_pip_cannot_find_are_told_with_what_to_do(code, tmp_path, capsys):
    (tmp_path / "requirements.txt").write_text("no-such-package-for-this-test==1\n")
    command = [
        "package",
        str(code),
        "-r",
        str(tmp_path / "requirements.txt"),
        "--no-index",
        "-o",
        str(tmp_path / "f.zip"),
    ]
    assert cli.main(command) == 1
    said = capsys.readouterr().err
    assert "no-such-package-for-this-test" in said and "--find-links" in said


def test_an_interpreter_of_another_version_is_refused():
    with pytest.raises(BadArgument, match=r"is not a Python 3\.99"):
        bytecode.find_python("3.99", sys.executable)


def test_the_wrapper_is_executable_and_a_plain_shell_runs_it(tmp_path):
    bundle.put_wrapper(tmp_path)
    wrapper = tmp_path / bundle.WRAPPER
    assert os.access(wrapper, os.X_OK)
    assert wrapper.read_text().startswith("#!/bin/sh\n")
    subprocess.run(["/bin/sh", "-n", wrapper], check=True)


def test_no_module_of_the_current_folder_is_run(tmp_path):
    """The tool is called inside the function's folder, whose json.py is the function's."""
    (tmp_path / "app.py").write_text("def handler(event, context): return 1\n")
    for name in ("json", "py_compile", "re"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')\n")
    command = [sys.executable, "-P", "-m", "fastlambda.local.cli", "package", ".", "--no-requirements"]
    done = subprocess.run([*command, "-o", str(tmp_path / "o.zip")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "was-run").exists()
