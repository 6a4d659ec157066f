"""The guard's native room, alone: tests/native/guard_check.c, plain and under the sanitizers.

No suppressions are needed: what the two threads share is atomic, and what is not is handed over by the
compare-and-swap on the slot's word.
"""

import base64
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NATIVE = ROOT / "src" / "fastlambda" / "_native"
CHECKS = ROOT / "tests" / "native" / "guard_check.c"

BUILDS = {
    "plain": ["-O2"],
    "address-undefined": ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "thread": ["-O1", "-fsanitize=thread"],
}


def names() -> list[str]:
    lines = CHECKS.read_text().splitlines()
    return [line.strip()[4:-2] for line in lines if line.startswith("    ONE(")]


@pytest.fixture(scope="module", params=list(BUILDS))
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("guard") / request.param
    command = [
        "gcc",
        "-std=gnu11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-g",
        "-pthread",
        "-DFASTLAMBDA_DEBUG=1",
        *BUILDS[request.param],
    ]
    command += [f"-I{NATIVE}", str(CHECKS), *map(str, sorted(NATIVE.glob("*.c"))), "-o", str(made)]
    subprocess.run(command, check=True)
    return made


def run(program: Path, name: str, folder: Path) -> "subprocess.CompletedProcess[bytes]":
    keep = {"PATH": os.environ["PATH"], "TSAN_OPTIONS": "halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=0"}
    return subprocess.run([program, name], cwd=folder, env=keep, capture_output=True, timeout=180)


@pytest.mark.parametrize("name", names())
def test_native_guard_check_holds(program: Path, name: str, tmp_path: Path) -> None:
    done = run(program, name, tmp_path)
    assert done.returncode == 0, done.stderr.decode()


def test_the_list_of_checks_is_the_programs_own(program: Path) -> None:
    listed = subprocess.run([program], text=True, capture_output=True, check=True).stdout.split()
    assert listed == names()


def test_trailers_carry_the_error_document_in_base64(program: Path, tmp_path: Path) -> None:
    out = run(program, "the_last_word_is_a_post_or_the_end_of_a_stream", tmp_path).stdout.decode()
    end, _, document = out.partition("\r\n\r\n")
    lines = end.split("\r\n")
    assert lines[0] == "0"
    assert lines[1] == "Lambda-Runtime-Function-Error-Type: Runtime.InvocationTimeout"
    name, _, value = lines[2].partition(": ")
    assert name == "Lambda-Runtime-Function-Error-Body"
    assert base64.b64decode(value, validate=True).decode() == document
