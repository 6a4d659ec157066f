"""A short run of tools/guard_margin.py: whoever comes first, there is one answer."""

import sys

from support import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import guard_margin


def test_a_handler_that_finishes_around_the_margin_is_answered_once() -> None:
    counts, _ = guard_margin.run(runs=60, seed=20261123, workers=2)
    assert counts.total() == 60
