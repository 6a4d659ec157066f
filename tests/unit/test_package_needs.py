"""What `fastlambda package` takes of packages: the target's markers, every file or a line on it, the own list."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from small_wheels import make_wheel
from support import ROOT, clean_env

from fastlambda._version import __version__
from fastlambda.local import cli
from fastlambda.packaging import clone, collect, pip_for_target
from fastlambda.packaging.target import Target

TARGETS = [("3.11", "arm64"), ("3.12", "x86_64"), ("3.13", "arm64"), ("3.15", "x86_64")]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "app.py").write_text("def handler(event, context):\n    return event\n")
    return folder


def package(source: Path, wheels: Path, *more: str) -> int:
    out = source.parent / "function.zip"
    return cli.main(["package", str(source), "-o", str(out), "--no-index", "--find-links", str(wheels), *more])


def held(source: Path) -> set[str]:
    with zipfile.ZipFile(source.parent / "function.zip") as packed:
        return {name for name in packed.namelist() if "__pycache__" not in name and ".dist-info/" not in name}


# ---- markers -------------------------------------------------------------------------------------------------------

MARKED = {
    "below_313": "python_version < '3.13'",
    "from_313": "python_version >= '3.13'",
    "late_patch": "python_full_version < '3.11.3'",
    "for_arm": "platform_machine == 'aarch64'",
    "for_intel": "platform_machine == 'x86_64'",
    "for_linux": "sys_platform == 'linux' and platform_system == 'Linux' and os_name == 'posix'",
    "for_mac": "sys_platform == 'darwin'",
    "for_windows": "os_name == 'nt'",
    "for_cpython": "platform_python_implementation == 'CPython' and implementation_name == 'cpython'",
    "for_pypy": "platform_python_implementation == 'PyPy'",
    "with_extra": "extra == 'more' and platform_machine == 'aarch64'",
}


@pytest.mark.parametrize(("python", "arch"), TARGETS)
def test_markers_are_answered_for_the_function_s_runtime(source, wheels, python, arch):
    make_wheel(wheels, "asks", requires=[f"{name}; {marker}" for name, marker in MARKED.items()])
    for name in MARKED:
        make_wheel(wheels, name)
    make_wheel(wheels, "top")
    (source / "r.txt").write_text("asks[more]\ntop; platform_machine == 'aarch64' and python_version > '3.12'\n")
    assert package(source, wheels, "-r", str(source / "r.txt"), "--python", python, "--arch", arch) == 0
    is_old, is_arm = python in ("3.11", "3.12"), arch == "arm64"
    expected = {"asks", "for_linux", "for_cpython", "for_arm" if is_arm else "for_intel"}
    expected |= {"below_313" if is_old else "from_313"} | ({"with_extra"} if is_arm else set())
    expected |= {"top"} if is_arm and not is_old else set()
    assert held(source) == {"app.py", "r.txt", *(f"{name}.py" for name in expected)}


def test_a_package_for_late_patch_releases_is_taken(source, wheels):
    make_wheel(wheels, "late", requires_python=">=3.11.4,!=3.11.0")
    (source / "requirements.txt").write_text("late\n")
    assert package(source, wheels, "--python", "3.11") == 0
    assert "late.py" in held(source)


def test_a_pip_that_does_not_listen_is_not_used(tmp_path):
    fake = tmp_path / "pip/_vendor/packaging"
    fake.mkdir(parents=True)
    for folder in (tmp_path / "pip", tmp_path / "pip/_vendor", fake):
        (folder / "__init__.py").touch()
    (fake / "markers.py").write_text(
        "class Marker:\n"
        "    def __init__(self, text): pass\n"
        "    def evaluate(self, environment): return True\n"  # whatever the target is
    )
    markers = json.dumps(Target("3.13", "arm64").markers())
    command = [sys.executable, "-P", pip_for_target.__file__, markers, "install", "nothing"]
    done = subprocess.run(command, env=clean_env(PYTHONPATH=str(tmp_path)), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (pip_for_target.NOT_LISTENING, ""), done.stderr


def test_that_such_a_pip_cannot_be_used_is_told_with_what_to_type(source, wheels, monkeypatch, capsys):
    monkeypatch.setattr(collect, "_run", lambda command, env: (pip_for_target.NOT_LISTENING, ""))
    (source / "requirements.txt").write_text("late\n")
    assert package(source, wheels, "--python", "3.14", "--arch", "arm64") == 1
    said = capsys.readouterr().err
    assert "cannot be told about Python 3.14 on arm64" in said and "-m pip install --upgrade pip" in said


# ---- every file, or a line about it --------------------------------------------------------------------------------


def test_programs_and_bytecode_without_a_source_are_kept(source, wheels, capsys):
    files = {"tool/__init__.py": b"", "tool/hidden.pyc": b"-", "tool/__pycache__/__init__.cpython-313.pyc": b"old"}
    scripts = {"native": b"\x7fELF program", "run.sh": b"#!/bin/sh\necho hello\n", "own.py": b"#!python\nprint()\n"}
    make_wheel(wheels, "tool", files=files, scripts=scripts, entry_points="[console_scripts]\ntool-cli = tool:main\n")
    (source / "requirements.txt").write_text("tool\n")
    assert package(source, wheels) == 0
    kept = {"tool/__init__.py", "tool/hidden.pyc", "bin/native", "bin/run.sh"}
    assert held(source) == {"app.py", "requirements.txt", *kept}
    said = capsys.readouterr().out
    assert "left out, scripts that start the Python of this machine: bin/own.py, bin/tool-cli" in said
    assert "left out, bytecode in __pycache__ that packages bring: tool/__pycache__/__init__.cpython-313.pyc" in said
    assert "left out, pip's notes (RECORD, INSTALLER, REQUESTED, direct_url.json) of 1 packages" in said
    with zipfile.ZipFile(source.parent / "function.zip") as packed:
        modes = {info.filename: info.external_attr >> 16 & 0o777 for info in packed.infolist()}
    assert modes["bin/native"] == modes["bin/run.sh"] == 0o755


def test_bytecode_of_the_function_s_own_without_a_source_is_kept_or_named(source, wheels, capsys):
    (source / "hidden.pyc").write_bytes(b"compiled")
    (source / "app.pyc").write_bytes(b"stale")
    (source / "__pycache__").mkdir()
    (source / "__pycache__/gone.cpython-313.pyc").write_bytes(b"not imported from here")
    assert package(source, wheels) == 0
    assert held(source) == {"app.py", "hidden.pyc"}
    said = capsys.readouterr().out
    assert "__pycache__/gone.cpython-313.pyc, which has no source and is not imported from there" in said
    assert "*.pyc beside its source" in said


def test_modules_for_another_machine_or_python_are_told(source, wheels, capsys):
    arm = b"\x7fELF" + bytes(14) + (183).to_bytes(2, "little")
    intel = b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little")
    (source / "one.so").write_bytes(arm)
    (source / "two.cpython-311-x86_64-linux-gnu.so").write_bytes(intel)
    (source / "three.cpython-313-x86_64-linux-gnu.so").write_bytes(intel)
    (source / "four.abi3.so").write_bytes(intel)
    assert package(source, wheels, "--python", "3.13", "--arch", "x86_64") == 0
    warnings = [line for line in capsys.readouterr().out.splitlines() if line.startswith("WARNING: not for")]
    assert warnings == [
        "WARNING: not for x86_64, so they do not load: one.so",
        "WARNING: not for Python 3.13, so it does not find them: two.cpython-311-x86_64-linux-gnu.so",
    ]


# ---- what the folder says that it needs ------------------------------------------------------------------------------


def test_requirements_in_the_folder_are_used_and_told(source, wheels, capsys):
    make_wheel(wheels, "needed")
    (source / "requirements.txt").write_text("needed\n")
    (source / "uv.lock").touch()
    assert package(source, wheels) == 0
    assert "needed.py" in held(source)
    said = capsys.readouterr().out
    assert f"packages as in {source}/requirements.txt" in said and "uv.lock not used" in said


def test_dependencies_of_a_project_in_the_folder_are_used_and_told(source, wheels, capsys):
    make_wheel(wheels, "needed")
    make_wheel(wheels, "other")
    (source / "pyproject.toml").write_text(
        "[project]\nname = 'x'\ndependencies = ['needed>=1', \"other; sys_platform == 'win32'\"]\n"
    )
    assert package(source, wheels) == 0
    assert "needed.py" in held(source) and "other.py" not in held(source)
    assert f"packages as in {source}/pyproject.toml, in their newest versions" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "typed"),
    [
        ({"uv.lock": "", "pyproject.toml": "[project]\ndependencies = ['needed']\n"}, "uv export --frozen --no-dev"),
        ({"poetry.lock": ""}, "poetry export -o requirements.txt"),
        ({"pdm.lock": ""}, "pdm export --prod -o requirements.txt"),
        ({"Pipfile.lock": "{}"}, "pipenv requirements > requirements.txt"),
        ({"pylock.toml": ""}, "pylock.toml"),
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '^3.11'\nrequests = '*'\n"}, "poetry lock"),
        ({"pyproject.toml": "[project]\nname = 'x'\ndynamic = ['dependencies']\n"}, "uv pip compile"),
        ({"pyproject.toml": "[project\n"}, "cannot be read"),
    ],
)
def test_what_pip_does_not_read_is_refused_with_what_to_type(source, wheels, capsys, files, typed):
    for name, text in files.items():
        (source / name).write_text(text)
    assert package(source, wheels) == 2
    said = capsys.readouterr().err
    assert typed in said and "--no-requirements" in said
    assert not (source.parent / "function.zip").exists()
    assert package(source, wheels, "--no-requirements") == 0
    assert held(source) == {"app.py", *files}


@pytest.mark.parametrize(
    "text", ["[tool.ruff]\n", "[project]\nname = 'x'\n", "[tool.poetry.dependencies]\npython = '*'\n"]
)
def test_a_project_that_needs_nothing_is_packed_as_it_is(source, wheels, text):
    (source / "pyproject.toml").write_text(text)
    assert package(source, wheels) == 0
    assert held(source) == {"app.py", "pyproject.toml"}


def test_requirements_that_are_named_are_the_only_ones(source, wheels):
    make_wheel(wheels, "needed")
    (source / "requirements.txt").write_text("not-there\n")
    (source.parent / "r.txt").write_text("needed\n")
    assert package(source, wheels, "-r", str(source.parent / "r.txt")) == 0
    assert held(source) == {"app.py", "requirements.txt", "needed.py"}


# ---- asked for wrongly -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--python", "3.10"], "--python 3.10: fastlambda runs on 3.11 and newer; write it as 3.13"),
        (["--python", "python3.13"], "--python python3.13: fastlambda runs on 3.11"),
        (["--python", "3.13.1"], "--python 3.13.1: fastlambda runs on 3.11"),
        (["--arch", "amd64"], "argument --arch: invalid choice: 'amd64'"),
        (["--interpreter", "/no/such/python"], "--interpreter /no/such/python is not a Python"),
        (["-r", "not-there.txt"], "-r not-there.txt: there is no such file"),
        (["-o", "/no/such/folder/f.zip"], "there is no folder /no/such/folder"),
        (["-o", "."], "that is a folder"),
        (["--python", "3.11", "--python", "3.12"], "give --python once"),
        (["--no-requirements", "-r", "r.txt"], "--no-requirements contradicts"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_what_is_asked_for_wrongly_ends_with_2_and_says_what(source, wheels, capsys, words, said):
    try:
        status = package(source, wheels, *words)
    except SystemExit as exc:  # argparse
        status = int(exc.code or 0)
    assert status == 2
    assert said in capsys.readouterr().err


def test_a_source_that_is_not_there_ends_with_2(tmp_path, wheels, capsys):
    assert package(tmp_path / "nothing", wheels) == 2
    assert "neither a folder nor a file" in capsys.readouterr().err


# ---- the runtime, with and without orjson ----------------------------------------------------------------------------


def runtime_wheels(wheels: Path) -> None:
    """fastlambda as its metadata is, and what it needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    make_wheel(wheels, "fastlambda", __version__, requires=project["dependencies"])
    make_wheel(wheels, "h11", "0.16.0")


@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
@pytest.mark.parametrize(("python", "has_wheel"), [("3.14", True), ("3.15", True), ("3.15", False), ("3.16", False)])
def test_orjson_is_in_the_layer_where_it_has_a_wheel_and_else_left_out_and_told(
    wheels, tmp_path, capsys, python, has_wheel, arch
):
    runtime_wheels(wheels)
    machine = {"x86_64": "x86_64", "arm64": "aarch64"}[arch]
    tag = f"cp{python.replace('.', '')}"
    newer_glibc = "manylinux_2_39" if not has_wheel else "manylinux_2_17"
    make_wheel(wheels, "orjson", "3.11.4", tag=f"{tag}-{tag}-{newer_glibc}_{machine}")
    out = tmp_path / "layer.zip"
    command = ["layer", "--python", python, "--arch", arch, "--no-index", "--find-links", str(wheels), "-o", str(out)]
    assert cli.main(command) == 0
    with zipfile.ZipFile(out) as packed:
        held = {name.rpartition("/")[2] for name in packed.namelist()}
    assert {"fastlambda.py", "h11.py", "fastlambda-wrapper"} <= held
    assert ("orjson.py" in held) == has_wheel
    said = [line for line in capsys.readouterr().out.splitlines() if "orjson, " in line]
    assert len(said) == (not has_wheel)
    if said:
        assert said[0].startswith(f"LEFT OUT: orjson, which has no wheel for Python {python} on {arch} (glibc 2.34)")


def test_a_layer_without_what_the_runtime_cannot_do_without_is_refused(wheels, tmp_path, capsys):
    make_wheel(wheels, "fastlambda", __version__, requires=["h11>=0.16"])
    command = ["layer", "--no-index", "--find-links", str(wheels), "-o", str(tmp_path / "layer.zip")]
    assert cli.main(command) == 1
    assert "h11" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["wheels"]


# ---- from a clone ----------------------------------------------------------------------------------------------------


@pytest.fixture
def a_clone(tmp_path, monkeypatch) -> Path:
    """The sources of a clone, as the command finds them, without a wheelhouse."""
    folder = tmp_path / "clone"
    (folder / "tools").mkdir(parents=True)
    (folder / "wheelhouse").mkdir()
    (folder / "tools/wheelhouse.py").touch()
    (folder / "dev.py").touch()
    (folder / "src/fastlambda").mkdir(parents=True)
    (folder / "src/fastlambda/__init__.py").write_text("NAME = 1\n")
    monkeypatch.setattr(clone, "PACKAGE", folder / "src/fastlambda")
    return folder


def fill_wheelhouse(folder: Path, init: bytes = b"NAME = 1\n", arch: str = "x86_64") -> None:
    tag = f"cp311-abi3-manylinux_2_17_{arch}"
    requires = ["h11", "orjson; python_version < '3.15'"]
    files = {"fastlambda/__init__.py": init}
    make_wheel(folder / "wheelhouse", "fastlambda", __version__, requires=requires, files=files, tag=tag)
    make_wheel(folder / "wheelhouse", "h11", "0.16.0")
    make_wheel(folder / "wheelhouse", "orjson", "3.11.4")


LAYER = ["layer", "--python", "3.13", "--arch", "x86_64"]


def test_a_layer_from_a_clone_comes_out_of_its_wheelhouse_without_an_index(a_clone, tmp_path, capsys, monkeypatch):
    fill_wheelhouse(a_clone)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody is there
    assert cli.main([*LAYER, "-o", str(tmp_path / "layer.zip")]) == 0
    with zipfile.ZipFile(tmp_path / "layer.zip") as packed:
        assert "python/lib/python3.13/site-packages/h11.py" in packed.namelist()
    assert "WARNING: " + str(a_clone) not in capsys.readouterr().out


@pytest.mark.parametrize("change", ["other text", "new file", "newer C"])
def test_a_wheelhouse_that_is_older_than_the_sources_is_told_with_what_to_type(a_clone, tmp_path, capsys, change):
    fill_wheelhouse(a_clone)
    if change == "other text":
        (a_clone / "src/fastlambda/__init__.py").write_text("NAME = 2\n")
    elif change == "new file":
        (a_clone / "src/fastlambda/more.py").touch()
    else:
        (a_clone / "src/fastlambda/_native").mkdir()
        newer = a_clone / "src/fastlambda/_native/net.c"
        newer.touch()
        os.utime(newer, (2**31, 2**31))
    assert cli.main([*LAYER, "-o", str(tmp_path / "layer.zip")]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("WARNING: " + str(a_clone)))
    assert "is not of the sources as they are now" in line and "python3 dev.py wheelhouse" in line


@pytest.mark.parametrize("command", [["layer"], ["package", "--with-runtime", "--no-requirements", "{source}"]])
def test_a_clone_without_the_wheel_says_what_to_type(a_clone, source, tmp_path, capsys, command):
    fill_wheelhouse(a_clone, arch="x86_64" if platform.machine() == "aarch64" else "aarch64")
    there, other = ("arm64", "x86_64") if platform.machine() == "aarch64" else ("x86_64", "arm64")
    words = [word.format(source=source) for word in command]
    assert cli.main([*words, "--arch", there, "-o", str(tmp_path / "f.zip")]) == 1
    said = capsys.readouterr().err
    assert f"no wheel for {there}" in said and f"(cd {a_clone} && python3 dev.py wheelhouse)" in said
    (a_clone / "wheelhouse").rename(a_clone / "gone")
    assert cli.main([*words, "--arch", other, "-o", str(tmp_path / "f.zip")]) == 1
    assert "python3 dev.py wheelhouse --all" in capsys.readouterr().err


def test_an_installed_fastlambda_asks_the_index(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(clone, "PACKAGE", tmp_path / "site-packages/fastlambda")
    asked = []
    monkeypatch.setattr(collect, "_run", lambda command, env: asked.append(command) or (1, "ERROR: no"))
    assert cli.main([*LAYER, "-o", str(tmp_path / "layer.zip")]) == 1
    assert f"fastlambda=={__version__}" in asked[0] and "--no-index" not in asked[0] and "--find-links" not in asked[0]


def test_a_build_without_a_compiler_says_what_to_install(tmp_path):
    command = [sys.executable, "setup.py", "-q", "build_ext", "-b", str(tmp_path), "-t", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=clean_env(CC="no-such-compiler -O2"), capture_output=True, text=True)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert "fastlambda: cannot be built here: no C compiler: 'no-such-compiler' is not on PATH." in said
    assert any("apt-get install gcc" in line for line in said) and "Traceback" not in done.stderr


# ---- hashes, and the developer's own settings ------------------------------------------------------------------------


def pinned(wheel: Path) -> str:
    name, version, *_ = wheel.name.split("-")
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def test_requirements_with_hashes_go_together_with_the_runtime(source, wheels):
    runtime_wheels(wheels)
    make_wheel(wheels, "orjson", "3.11.4")
    lines = [pinned(make_wheel(wheels, "needed")), pinned(wheels / "h11-0.16.0-py3-none-any.whl")]
    (source / "requirements.txt").write_text("".join(lines))
    assert package(source, wheels, "--with-runtime") == 0
    kept = {"fastlambda.py", "h11.py", "orjson.py", "needed.py"}
    assert held(source) == {"app.py", "requirements.txt", "fastlambda-wrapper", *kept}


def test_requirements_with_hashes_that_contradict_the_runtime_are_refused(source, wheels, capsys):
    runtime_wheels(wheels)
    make_wheel(wheels, "orjson", "3.11.4")
    (source / "requirements.txt").write_text(pinned(make_wheel(wheels, "h11", "0.14.0")))
    assert package(source, wheels, "--with-runtime") == 1
    assert "another h11 than fastlambda: 0.14.0 and 0.16.0" in capsys.readouterr().err


def test_a_wrong_hash_is_refused(source, wheels, capsys):
    line = pinned(make_wheel(wheels, "needed"))
    make_wheel(wheels, "needed", files={"needed.py": b"other\n"})
    (source / "requirements.txt").write_text(line)
    assert package(source, wheels) == 1
    assert "HASHES" in capsys.readouterr().err


def test_pip_s_own_settings_of_the_developer_do_not_get_in_the_way(source, wheels, monkeypatch):
    make_wheel(wheels, "needed")
    (source / "requirements.txt").write_text("needed\n")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_COMPILE", "1")
    assert package(source, wheels) == 0
    assert "needed.py" in held(source)
