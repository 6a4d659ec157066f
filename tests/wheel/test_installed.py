"""The installed wheel, on every Python of this machine, from a folder that is not the checkout."""

import json
import zipfile

import e2e
import pytest
from support import ROOT

from fastlambda._version import __version__


@pytest.mark.parametrize("target", ["functions.echo", "functions:SyncEcho", "functions:AsyncEcho"])
def test_events_come_back_as_they_were(installed, target):
    e2e.check_answers(installed, target)


def test_events_come_back_as_they_were_through_h11(installed):
    e2e.check_answers(installed, "functions.echo", FASTLAMBDA_HTTP="h11")


def test_events_come_back_as_they_were_through_orjson(installed):
    e2e.check_answers(installed, "functions.echo", FASTLAMBDA_JSON="orjson")


def test_failures_are_reported_and_the_process_goes_on(installed):
    e2e.check_failures(installed)


def test_a_missing_handler_is_told_to_the_caller(installed):
    e2e.check_init_failure(installed)


def test_the_wheel_is_what_runs_and_knows_its_version(installed):
    assert e2e.about(installed)["version"] == __version__
    done = installed.run("-c", "from importlib.metadata import version; print(version('fastlambda'))")
    assert done.stdout.strip() == __version__


def test_a_missing_extension_gives_one_error_that_helps(installed, tmp_path):
    package = installed.copy_wheel_of(tmp_path)
    (package / "_core.abi3.so").unlink()
    for command in (["-m", "fastlambda", "functions.echo"], ["-c", "from fastlambda import Context"]):
        done = installed.run(*command, PYTHONPATH=str(tmp_path))
        assert done.returncode == 1
        said = done.stderr.rpartition("ImportError: ")[2]
        assert said.startswith("fastlambda cannot load its extension module")
        assert "install the wheel for this platform" in said and str(package) in said


@pytest.mark.parametrize(("head", "named"), [(b"\x7fELF" + bytes(14) + b"\xb7\0", "aarch64"), (b"junk", "damaged")])
def test_an_extension_for_another_machine_gives_one_error_that_helps(installed, tmp_path, head, named):
    package = installed.copy_wheel_of(tmp_path)
    (package / "_core.abi3.so").write_bytes(head)
    done = installed.run("-c", "from fastlambda import Runner", PYTHONPATH=str(tmp_path))
    said = done.stderr.rpartition("ImportError: ")[2]
    assert done.returncode == 1
    assert "_core.abi3.so (" in said and named in said and "fastlambda layer --arch" in said


def test_another_missing_module_keeps_its_own_error(installed, tmp_path):
    package = installed.copy_wheel_of(tmp_path)
    (package / "runner.py").write_text("import fastlambda._core, not_there\n")
    done = installed.run("-c", "from fastlambda import Runner", PYTHONPATH=str(tmp_path))
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'not_there'"


def test_the_extension_brings_no_library_along(installed):
    code = (
        "import re\n"
        "def mapped(): return {line.split()[-1] for line in open('/proc/self/maps') if re.search(r'\\.so\\b', line)}\n"
        "before = mapped()\n"
        "import fastlambda._core\n"
        "print(*mapped() - before)\n"
    )
    (library,) = installed.run("-c", code).stdout.split()
    assert library.endswith("/fastlambda/_core.abi3.so")


def test_the_sums_are_those_of_the_files(wheelhouse):
    import hashlib

    lines = (wheelhouse / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert sums == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in wheelhouse.iterdir()
        if path.suffix in (".whl", ".gz")
    }
    assert any(name.startswith("orjson-") for name in sums) and any(name.startswith("h11-") for name in sums)


@pytest.mark.parametrize("name", ["fastlambda", "fastlambda_local"])
def test_a_wheel_says_what_is_in_it(wheelhouse, name):
    (path,) = wheelhouse.glob(f"{name}-*.whl")
    with zipfile.ZipFile(path) as wheel:
        info = f"{name}-{__version__}.dist-info"
        document = json.loads(wheel.read(f"{info}/sboms/{name}.cdx.json"))
        assert f"{info}/sboms/{name}.cdx.json,sha256=" in wheel.read(f"{info}/RECORD").decode()
    assert (document["bomFormat"], document["metadata"]["component"]["version"]) == ("CycloneDX", __version__)
    compiled_in = [one["name"] for one in document["components"]]
    assert compiled_in == (["Cython"] if name == "fastlambda" else [])
    assert "setuptools" in [one["name"] for one in document["metadata"]["tools"]["components"]]


def test_without_the_tools_the_command_says_what_to_install(installed):
    done = installed.command("fastlambda", "invoke", "functions.echo", "{}")
    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'fastlambda[local]'" in done.stderr and "python -m fastlambda module.function" in done.stderr
    assert "Traceback" not in done.stderr


def test_with_the_tools_the_command_invokes_a_function_of_the_wheel(installed_local):
    done = installed_local.command("fastlambda", "invoke", "functions.echo", '{"a": 1}')
    assert (done.returncode, json.loads(done.stdout)) == (0, {"a": 1}), done.stderr
    assert e2e.about(installed_local)["version"] == __version__


def test_the_tools_bring_the_pytest_plugin_and_the_runtime_alone_does_not(installed, installed_local):
    show = "from importlib.metadata import entry_points as e; print([p.value for p in e(group='pytest11')])"
    assert installed_local.run("-c", show).stdout.strip() == "['fastlambda.local.pytest_plugin']"
    assert installed.run("-c", show).stdout.strip() == "[]"


def test_the_two_wheels_hold_the_tree_and_no_file_twice(wheelhouse):
    held = []
    for wheel in wheelhouse.glob("fastlambda*.whl"):
        with zipfile.ZipFile(wheel) as packed:
            held += [name for name in packed.namelist() if ".dist-info/" not in name]
    tree = [path for pattern in ("*.py", "*.pyi", "*.sh") for path in (ROOT / "src/fastlambda").rglob(pattern)]
    names = [path.relative_to(ROOT / "src").as_posix() for path in tree]
    assert sorted(held) == sorted([*names, "fastlambda/py.typed", "fastlambda/_core.abi3.so"])
