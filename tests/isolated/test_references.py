"""No exchange, successful or not, keeps an object: the interpreter's memory blocks are counted before and after."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from support import ROOT, clean_env


def test_no_exchange_keeps_an_object(http_mode: str) -> None:
    script = Path(__file__).with_name("references.py")
    done = subprocess.run(
        [sys.executable, script, http_mode],
        env=clean_env(PYTHONPATH=str(ROOT / "tests")),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split("\t") for line in done.stderr.splitlines() if "\t" in line]
    assert len(rows) == 12
    # 300 exchanges each; the server's thread is in the middle of something when the blocks are counted.
    assert {name: int(growth) for name, growth in rows if int(growth) > 60} == {}
