"""Counted costs stay within bench/budgets.json: system calls, instructions, modules and files; never times."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
BUDGETS = json.loads((BENCH / "budgets.json").read_text())["budgets"]
TOOL_MISSING = 3  # exit status of bench/counts.py
SPECIAL_BUILDS = ("FASTLAMBDA_BUILD_DEBUG", "FASTLAMBDA_SANITIZE")

pytestmark = pytest.mark.skipif(
    any(os.environ.get(name) for name in SPECIAL_BUILDS), reason="the budgets are those of a release build"
)


def name_of(budget):
    return ", ".join([budget["count"], budget["contender"], *(budget[k] for k in ("event", "framing") if k in budget)])


@pytest.mark.parametrize("name", [name_of(b) for b in BUDGETS])
def test_a_counted_cost_is_within_its_budget(name):
    done = subprocess.run(
        [sys.executable, str(BENCH / "counts.py"), "--budget", name], capture_output=True, text=True, timeout=300
    )
    if done.returncode == TOOL_MISSING:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{done.stderr.strip()}: needed on CI, install it there")
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stdout + done.stderr
    assert name in done.stdout
