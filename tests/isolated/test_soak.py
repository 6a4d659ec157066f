# ruff: noqa: E501
"""A short soak: mixed invocations, every answer checked, memory, descriptors and threads flat."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support import ROOT


@pytest.mark.parametrize(
    "how", [["--invocations", "20000"], ["--invocations", "10000", "--pipeline"], ["--invocations", "5000", "--http", "h11"]],
    ids=["native", "pipelined", "h11"],
)  # fmt: skip
def test_nothing_grows_over_many_invocations(how: list[str]) -> None:
    done = subprocess.run([sys.executable, ROOT / "tools/soak.py", *how], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every answer right" in done.stdout
