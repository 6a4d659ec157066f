"""The memory of a large event is kept for the next one: it costs no page faults again."""

from __future__ import annotations

import json
import re

import pytest

from fastlambda.local.process import Function

HANDLER = """
import resource

last = 0


def handler(event, context):
    global last
    now = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    print("faults", now - last)
    last = now
    return event
"""

SHAPES = {
    "many small objects": [{"id": i, "name": f"n{i}", "tags": [f"a{i}", f"b{i}"], "v": i * 1.5} for i in range(15_000)],
    "long texts": [{"text": "x" * 1000, "n": i} for i in range(1200)],
    "floats": [i / 7 for i in range(60_000)],
}


@pytest.mark.parametrize("memory_mb", [128, 1024])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_large_event_takes_few_page_faults_once_the_process_is_warm(tmp_path, shape: str, memory_mb: int) -> None:
    (tmp_path / "app.py").write_text(HANDLER)
    body = json.dumps(SHAPES[shape]).encode()
    assert len(body) > 1_000_000
    function = Function("app.handler", timeout_s=60, memory_mb=memory_mb, cwd=tmp_path)
    try:
        for _ in range(12):
            assert function.invoke(body).result.ok
    finally:
        function.stop()
    faults = [int(n) for n in re.findall(rb"faults (\d+)", bytes(function.logs))]
    assert len(faults) == 12
    assert max(faults[6:]) < 100, faults
