"""The tutorial, followed to the letter: a new home, a new environment, the wheels of this checkout, no compiler."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from support import PATIENCE, ROOT, clean_env

# What a machine of the tests cannot do, or does in another way; every other block is run.
NOT_RUN = {
    "in a clone of the repository": "the fixture `wheelhouse` runs the same tool, once for all tests",
    "where your clone is": "the test sets $FASTLAMBDA",
    "needs an AWS account and the SAM command line": "there is none",
}


@dataclass
class Block:
    language: str
    title: str
    text: str


def blocks() -> list[Block]:
    page = (ROOT / "docs/tutorial.md").read_text()
    found = re.findall(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```', page, re.M | re.S)
    return [Block(*parts) for parts in found]


def test_every_block_of_the_tutorial_does_what_it_says(wheelhouse: Path, tmp_path: Path) -> None:
    home, work, clone = tmp_path / "home", tmp_path / "work", tmp_path / "clone"
    for folder in (home, work, clone):
        folder.mkdir()
    (clone / "wheelhouse").symlink_to(wheelhouse)
    env = clean_env(HOME=str(home), FASTLAMBDA=str(clone), PIP_DISABLE_PIP_VERSION_CHECK="1")
    env["PATH"] = f"{Path(sys.base_prefix) / 'bin'}:{env['PATH']}"
    env.pop("VIRTUAL_ENV", None)
    state, printed, n_run, n_files = tmp_path / "state", "", 0, 0
    state.write_text(f"cd {work}\n")
    for block in blocks():
        if block.title in NOT_RUN:
            continue
        if block.language == "text":
            wanted = block.text.strip()
            assert wanted in printed, (wanted, printed)
        elif block.language == "sh":
            # One shell for all blocks, as a person has: directory and variables go on.
            keep = f"code=$?; {{ export -p; echo cd \"'$PWD'\"; }} > {state}; exit $code"
            script = f". {state}\n{{ {block.text.rstrip()}\n}}\n{keep}\n"
            done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, timeout=5 * PATIENCE)
            wanted_code = 1 if block.title == "exits with 1" else 0
            assert done.returncode == wanted_code, (block.text, done.stdout, done.stderr)
            printed = done.stdout + done.stderr
            n_run += 1
        else:
            project = work / "orders"
            (project / block.title).parent.mkdir(exist_ok=True)
            (project / block.title).write_text(block.text)
            n_files += 1
    assert (n_run, n_files) == (8, 4)
    assert (work / "orders/layer.zip").stat().st_size > 100_000
    assert (work / "orders/function.zip").stat().st_size > 1000
