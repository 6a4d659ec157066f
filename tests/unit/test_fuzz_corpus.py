"""Every input of the fuzzers' corpus, past crashes among them, under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import fuzz


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_the_corpus_passes(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "WORK", tmp_path)
    program = fuzz.build(target, "gcc", engine=False)
    inputs = sorted((ROOT / "fuzz/corpus" / target).iterdir())
    done = subprocess.run([program, *inputs], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{len(inputs)} inputs\n"), done.stderr
