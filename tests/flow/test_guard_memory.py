"""Under a memory control group of the function's size: what lives is left alone, what would be killed is reported.

A short run of tools/guard_memory.py, which has the figures.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import cgroups
import guard_memory

SIZE_MB = 128


@pytest.fixture(params=["by the group's count", "by resident size"])
def function(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[guard_memory.Function]:
    by_resident = request.param == "by resident size"
    try:
        with guard_memory.function_of(SIZE_MB, by_resident, tmp_path) as made:
            yield made
    except cgroups.NoCgroup as exc:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(exc))


@pytest.mark.parametrize("how", guard_memory.HOW)
def test_a_handler_that_peaks_below_the_limit_and_comes_back_succeeds(
    how: str, function: guard_memory.Function
) -> None:
    assert function.run("peak", percent=98.5, how=how, hold_s=0.3) == "ok"
    assert "of the function's 128 MB of memory are in use" in function.function.log
    function.settle()


@pytest.mark.parametrize("way", ["steps_of_256_kb", "native_with_the_gil", "swallowing"])
def test_a_handler_that_does_not_stop_is_reported_before_it_is_killed(
    way: str, function: guard_memory.Function
) -> None:
    # One in forty is killed first on a machine that does other things: five in a row are not chance.
    outcomes = []
    for _ in range(5):
        outcomes.append(function.run(way))
        function.settle()
        if outcomes[-1] == "Runtime.MemoryExhausted":
            break
    assert set(outcomes) <= {"killed", "Runtime.MemoryExhausted"}
    assert outcomes[-1] == "Runtime.MemoryExhausted", outcomes
