"""The embedded endpoint answers as AWS's own server does, asked by the same process."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from support import AwsServer, clean_env

from fastlambda.local.process import Function

PROBE = Path(__file__).parent / "probe_runtime_api.py"


def unlike_by_nature(answer: str) -> tuple[list[str], str]:
    """One or more answers without what is different each time, the order of headers aside."""
    answer = re.sub(r"Date: [^\r]*", "Date", answer)
    answer = re.sub(r"(Deadline-Ms|Function-Arn): [^\r]*", r"\1", answer)
    head, _, body = answer.partition("\r\n\r\n")
    return sorted(head.split("\r\n")), body


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """What AWS's server and ours said."""
    theirs = tmp_path_factory.mktemp("aws") / "answers.json"
    with AwsServer([sys.executable, str(PROBE), str(theirs)], clean_env(), theirs.parent) as server:
        status, body = server.invoke(b"{}")
        assert b"ResponseSizeTooLarge" in body, (status, body)
    ours = tmp_path_factory.mktemp("ours") / "answers.json"
    with Function("probe", command=[sys.executable, str(PROBE), str(ours)], cwd=ours.parent, timeout_s=60) as function:
        result = function.invoke(b"{}").result
        assert result.error_type == "Function.ResponseSizeTooLarge", function.logs
    return dict(json.loads(theirs.read_text())), dict(json.loads(ours.read_text()))


def test_every_answer_is_the_same(answers):
    theirs, ours = answers
    assert len(theirs) == 18
    for name, answer in theirs.items():
        assert unlike_by_nature(ours[name]) == unlike_by_nature(answer), name
