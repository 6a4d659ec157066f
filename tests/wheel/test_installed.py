"""The installed wheel, on every Python of this machine, from a folder that is not the checkout."""

import json

import e2e
import pytest

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


def test_the_command_line_is_installed(installed):
    done = installed.run(
        "-c", "from importlib.metadata import entry_points as e; print([p.name for p in e(group='console_scripts')])"
    )
    assert json.loads(done.stdout.replace("'", '"')) == ["fastlambda"]
