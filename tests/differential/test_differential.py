"""Every case under AWS's client and under fastlambda: equal, or listed in docs/differences.md."""

import fnmatch
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import simplejson

from .batches import BATCHES
from .compare import APPS, AWS, OURS, Batch, differences, observe

LIST = Path(__file__).parents[2] / "docs" / "differences.md"
BATCH_OF = {case: batch for batch in BATCHES for case in batch.cases()}


# What AWS's client reads and writes JSON with: 4 has other words than 3, and pip takes it from Python 3.14 on.
NEW_SIMPLEJSON = int(simplejson.__version__.partition(".")[0]) >= 4


@cache
def listed():
    """Rows of the tables in docs/differences.md: (id, patterns of fields, patterns of cases)."""
    rows = []
    for line in LIST.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `") and len(cells) == 5:
            name, fields, cases = (re.findall(r"`([^`]+)`", cell) for cell in cells[:3])
            if NEW_SIMPLEJSON or not name[0].startswith("simplejson-4"):
                rows.append((name[0], fields, cases))
    return rows


def rows_for(case, field):
    """Ids of the listed differences that allow this one."""
    return [
        name
        for name, fields, cases in listed()
        if any(fnmatch.fnmatchcase(field, pattern) for pattern in fields)
        and any(fnmatch.fnmatchcase(case, pattern) for pattern in cases)
    ]


@pytest.fixture(scope="session")
def observed(tmp_path_factory):
    """A function from a batch to its cases' differences; each batch runs once, both clients side by side."""
    home = tmp_path_factory.mktemp("differential")
    task = home / "task"
    shutil.copytree(APPS, task, ignore=shutil.ignore_patterns("__pycache__"))
    (task / "app_syntax.py.txt").rename(task / "app_syntax.py")
    results: dict[str, dict[str, dict[str, tuple[object, object]]]] = {}

    def run(batch: Batch):
        if batch.name not in results:
            logs = home / batch.name
            logs.mkdir()
            with ThreadPoolExecutor(2) as pool:
                aws, ours = pool.map(lambda client: observe(client, batch, task, logs), (AWS, OURS))
            results[batch.name] = {case: differences(aws[case], ours[case]) for case in aws}
        return results[batch.name]

    return run


@pytest.mark.parametrize("case", BATCH_OF)
def test_a_case_is_as_under_awss_client_or_listed(case, observed):
    surprises = {
        field: {"aws": aws, "ours": ours}
        for field, (aws, ours) in observed(BATCH_OF[case])[case].items()
        if not rows_for(case, field)
    }
    assert not surprises


def test_every_listed_difference_is_still_there(observed):
    met = set()
    for batch in BATCHES:
        for case, fields in observed(batch).items():
            for field in fields:
                met.update(rows_for(case, field))
    assert {name for name, _, _ in listed()} - met == set()


def test_the_suite_has_at_least_150_cases():
    assert len(BATCH_OF) >= 150
    assert len(BATCH_OF) == sum(len(batch.cases()) for batch in BATCHES)
