"""The benchmark's tools run and tell what they promise; what they tell of time is nobody's business here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "bench"))

from figures import percentile, summary


@pytest.mark.parametrize(
    ("n", "share", "value"),
    [(100, 0.5, 50), (100, 0.99, 99), (100, 1, 100), (101, 0.5, 51), (1, 0.5, 1), (1, 0.99, 1), (1000, 0.99, 990)],
)
def test_percentiles_are_nearest_rank(n: int, share: float, value: int) -> None:
    values = list(range(1, n + 1))
    assert percentile(values[::-1], share) == value
    assert summary(values)["p99"] == percentile(values, 0.99)


def test_a_contender_that_does_not_exist_is_refused_by_name() -> None:
    command = [sys.executable, str(ROOT / "bench/run.py"), "--quick", "--no-files", "--contender", "nosuch"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "--contender nosuch: no contender has that in its name; there are" in done.stderr
    assert "awslambdaric" in done.stderr


def test_an_interpreter_without_fastlambda_is_told_what_to_run(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "empty"], check=True)
    command = [tmp_path / "empty/bin/python", ROOT / "bench/counts.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "fastlambda is not installed for" in done.stderr and ".venv/bin/python" in done.stderr


def test_the_time_between_event_and_answer_is_told_for_each_contender() -> None:
    command = [sys.executable, str(ROOT / "bench/onpath.py"), "--rounds", "1"]
    for name in ("C client", "fastlambda", "fastlambda, pipelined"):
        command += ["--contender", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    number = r" +\d+\.\d\d"
    for name, figures in (("C client", 5), ("fastlambda", 5), ("fastlambda, pipelined", 3)):
        row = (
            rf"^  {re.escape(name)}(?=  )"
            + number * (figures - 1)
            + (" +-" if figures == 3 else "")
            + r" +([12]\.\d\d)$"
        )
        found = re.search(row, done.stdout, re.M)
        assert found, (name, done.stdout)
        # Answer, ack, poll, event: without pipelining two receiving calls; with it, one or two.
        assert figures == 3 or found[1] == "2.00"
