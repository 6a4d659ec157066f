"""A short run of tools/foreign_race.py: whenever a thread takes the number, no byte goes to a foreigner."""

import sys

from support import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import foreign_race


def test_a_thread_that_takes_the_number_around_the_answer_gets_nothing() -> None:
    counts = foreign_race.run(rounds=120, seed=20261126)
    assert counts.total() == 120
    assert counts["arrived"] > 60
