"""A special Runner loads what it uses: asyncio for asynchronous methods, a typing library for a declared type."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from batches import sqs_record
from support import PATIENCE, ROOT, clean_env

CODE = """
import sys
from fastlambda import exec_test
from fastlambda.batch import BatchRunner
class Orders(BatchRunner[None, {declared}]):
    {form} run_record(self, shared, record):
        loaded.extend(sys.modules)
loaded = []
exec_test(Orders, {{"invocations": [{event}]}})
print(*sorted(loaded))
"""
HEAVY = {"asyncio", "typing", "dataclasses", "logging", "msgspec", "pydantic", "boto3", "fastlambda.typed", "h11"}


@pytest.mark.parametrize(
    ("declared", "form", "more"),
    [
        ("dict", "def", set()),
        ("bytes", "def", set()),
        ("dict", "async def", {"asyncio"}),
        ("tuple[int, ...]", "def", {"fastlambda.typed", "msgspec"}),
    ],
    ids=["plain", "bytes", "async", "typed"],
)
def test_a_batch_runner_loads_what_it_uses(declared: str, form: str, more: set[str]) -> None:
    event = {"Records": [sqs_record("m", "[1]")]}
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(declared=declared, form=form, event=json.dumps(event))],
        env=clean_env(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    heavy = HEAVY & set(done.stdout.split())
    assert heavy >= more
    if not more:
        assert heavy == set()
