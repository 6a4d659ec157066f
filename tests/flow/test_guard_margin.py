"""Short runs of tools/guard_margin.py: whoever comes first, there is one answer, and with little CPU it is in time."""

import os
import sys
from fractions import Fraction

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import cgroups
import guard_margin


def test_a_handler_that_finishes_around_the_margin_is_answered_once() -> None:
    tally = guard_margin.run(runs=60, seed=20261123, workers=2)
    assert tally.counts.total() == 60


def test_with_a_fourteenth_of_a_cpu_no_answer_is_lost_doubled_or_late() -> None:
    """Lateness is a matter of the function's own share here: its group comes before other work on the machine."""
    try:
        with cgroups.precedence():
            tally = guard_margin.run(runs=60, seed=20261126, workers=4, share=Fraction(1, 14))
    except cgroups.NoCgroup as exc:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(exc))
    assert tally.counts.total() == 60
    assert not tally.late.total(), "\n".join(tally.lines())
