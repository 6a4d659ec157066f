"""No package takes the place of another one's files in a layer, and a layer says what is in it."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fastlambda._version import __version__
from fastlambda.local import cli
from fastlambda.packaging import owners, sbom
from fastlambda.packaging.errors import PackagingError

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
OURS = f"fastlambda-{__version__}.dist-info"


def wheel(folder: Path, name: str, files: dict[str, str], *, needs: tuple[str, ...] = (), hidden: str = "") -> None:
    """A wheel made by hand; what starts with `hidden` is not in its RECORD."""
    version = __version__ if name.startswith("fastlambda") else "1.0"
    info = f"{name}-{version}.dist-info"
    requires = "".join(f"Requires-Dist: {other}\n" for other in needs)
    content = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        f"License-Expression: MIT\n{requires}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        if not (hidden and path.startswith(hidden)):
            rows.append(f"{path},sha256={digest},{len(text)}")
    content.setdefault(f"{info}/RECORD", "\n".join([*rows, f"{info}/RECORD,,"]) + "\n")
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as packed:
        for path, text in content.items():
            packed.writestr(path, text)


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """A folder with a wheel that looks like the runtime's."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    wheel(folder, "fastlambda", {"fastlambda/__init__.py": "real = 1\n", "fastlambda/errors.py": "real = 1\n"})
    return folder


def make(what: str, tmp_path: Path, wheels: Path, *requirements: str, more: tuple[str, ...] = ()) -> tuple[int, Path]:
    (tmp_path / "r.txt").write_text("\n".join(requirements))
    out = tmp_path / "made.zip"
    command = [what, *more, "-o", str(out), "--python", MINOR, "--no-index", "--find-links", str(wheels)]
    return cli.main([*command, "-r", str(tmp_path / "r.txt")]), out


DATA = "NAME-1.0.data/purelib/"
# pip unpacks packages in the order of their names: before and after ours.
OVERWRITING = {
    "a module of ours, before it comes": ("aardvark", {"fastlambda/errors.py": "evil = 1\n"}, ""),
    "a module of ours, not in its RECORD": ("zebra", {"fastlambda/errors.py": "evil = 1\n"}, "fastlambda"),
    "a module that would come first": ("zebra", {"fastlambda/_core.cpython-399-x86_64-linux-gnu.so": "evil"}, ""),
    "our list of files, before it comes": ("aardvark", {f"{DATA}{OURS}/RECORD": "fastlambda/errors.py,,\n"}, ""),
}


@pytest.mark.parametrize(("name", "files", "hidden"), OVERWRITING.values(), ids=OVERWRITING)
def test_a_package_that_takes_the_place_of_ours_is_refused(
    name: str, files: dict[str, str], hidden: str, tmp_path: Path, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path.replace("NAME", name): text for path, text in files.items()}
    wheel(wheels, name, {f"{name}.py": "", **files}, hidden=hidden)
    status, out = make("layer", tmp_path, wheels, name)
    said = capsys.readouterr().err
    assert status == 1
    assert f"{name}-1.0 brings {next(iter(files)).rpartition('purelib/')[2]}" in said
    assert not out.exists() and not list(tmp_path.glob("*.partial"))


def test_two_packages_with_different_files_of_one_name_are_refused(
    tmp_path: Path, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(wheels, "one", {"utils/__init__.py": "one = 1\n"})
    wheel(wheels, "two", {"utils/__init__.py": "two = 2\n"})
    status, out = make("layer", tmp_path, wheels, "one", "two")
    said = capsys.readouterr().err
    assert (status, out.exists()) == (1, False)
    assert "one-1.0 and two-1.0 both bring utils/__init__.py" in said


def test_the_same_file_twice_is_no_conflict(tmp_path: Path, wheels: Path) -> None:
    for name in ("one", "two"):
        wheel(wheels, name, {"space/__init__.py": "", f"space/{name}.py": ""})
    assert make("layer", tmp_path, wheels, "one", "two")[0] == 0


def test_our_own_tools_are_no_conflict(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "fastlambda_local", {"fastlambda/local/cli.py": ""}, needs=(f"fastlambda=={__version__}",))
    status, out = make("layer", tmp_path, wheels, "fastlambda-local")
    assert status == 0
    with zipfile.ZipFile(out) as packed:
        assert not [name for name in packed.namelist() if "fastlambda/local" in name]


def test_a_functions_own_file_does_not_take_the_place_of_the_runtimes(
    tmp_path: Path, wheels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = tmp_path / "code"
    (code / "fastlambda").mkdir(parents=True)
    (code / "fastlambda/mine.py").write_text("mine = 1\n")
    assert make("package", tmp_path, wheels, more=(str(code), "--with-runtime"))[0] == 1
    assert "fastlambda/mine.py" in capsys.readouterr().err
    assert make("package", tmp_path, wheels, more=(str(code),))[0] == 0, "without the runtime it is nobody's"
    for name in ("fastlambda-wrapper", "fastlambda"):
        with pytest.raises(PackagingError, match=name):
            owners.check_code(["app.py", name], "fastlambda-wrapper")
    owners.check_code(["app.py", "fastlambda_mine.py", "my/fastlambda/x.py"], "fastlambda-wrapper")


# ---- what is in it ------------------------------------------------------------------------------------------------


def sbom_of(out: Path) -> Any:
    with zipfile.ZipFile(out) as packed:
        return json.loads(packed.read(sbom.NAME))


def test_a_layer_names_its_packages_and_is_the_same_each_time(tmp_path: Path, wheels: Path) -> None:
    wheel(wheels, "Some_Thing", {"thing.py": ""}, needs=("other",))
    wheel(wheels, "other", {"other.py": ""})
    status, out = make("layer", tmp_path, wheels, "some-thing")
    assert status == 0
    document, first = sbom_of(out), out.read_bytes()
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert [one["purl"] for one in document["components"]] == [
        f"pkg:pypi/fastlambda@{__version__}",
        "pkg:pypi/other@1.0",
        "pkg:pypi/some-thing@1.0",
    ]
    assert document["metadata"]["component"]["version"] == __version__
    assert document["components"][1]["licenses"] == [{"expression": "MIT"}]
    assert make("layer", tmp_path, wheels, "some-thing")[0] == 0
    assert out.read_bytes() == first


def test_the_document_is_valid() -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    validator = JsonStrictValidator(SchemaVersion.V1_6)
    one = sbom.component("Some_Thing", "1.0", licenses=[{"expression": "MIT OR Apache-2.0"}])
    document = sbom.document(sbom.component("f", "1"), [one], [{"type": "application", "name": "t", "version": "1"}])
    assert validator.validate_str(document.decode()) is None
    assert validator.validate_str(document.decode().replace('"version": 1,', '"version": "one",')) is not None
