"""The small set: the packages that CI has.  All of them: `python -m ecosystem`, from the tests directory."""

import pytest

from .cases import CASES
from .side import Case, observe

SMALL = [case for case in CASES if case.in_ci]


@pytest.mark.parametrize("case", SMALL, ids=[case.app for case in SMALL])
def test_a_package_answers_logs_and_records_the_same_under_both_clients(case: Case) -> None:
    aws, ours = observe("aws", case), observe("fastlambda", case)
    assert ours["answered"][0][0] == "response"
    assert ours == aws


def test_a_case_that_differs_would_be_seen() -> None:
    case = next(case for case in SMALL if case.app == "marshallers")
    other = Case("common", [], handler="common.work_with_context")
    assert observe("fastlambda", case)["answered"] != observe("fastlambda", other)["answered"]
