"""The benchmark's tools run and tell what they promise; what they tell of time is nobody's business here."""

from __future__ import annotations

import re
import subprocess
import sys

from support import ROOT


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
