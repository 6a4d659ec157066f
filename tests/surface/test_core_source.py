"""What the Cython rooms may not say, because of how the extension is built (diet.h)."""

from __future__ import annotations

import re

import pytest
from support import ROOT

SOURCES = [ROOT / "src/fastlambda/_core.pyx", *sorted((ROOT / "src/fastlambda/_cython").glob("*.pxi"))]
LEAVES = re.compile(r"\s*(return|continue|break)\b")
CONSTANT = re.compile(r"\s*return( None| False| True| -?\d+)?$")


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_no_except_block_is_left_by_return_with_something_to_compute(path):
    """An exception that C code raised has no traceback in a release build, and Cython lets go of one that it takes to
    be there when such a block returns, continues or breaks: the process would crash.  (A bare constant fetches none.)
    """
    lines = path.read_text().splitlines()
    found = []
    for number, line in enumerate(lines):
        if not re.match(r"\s*except\b.*:\s*(#.*)?$", line):
            continue
        block = []
        for inner in lines[number + 1 :]:
            if inner.strip() and indent(inner) <= indent(line):
                break
            if inner.strip():
                block.append(inner.partition("   #")[0].rstrip())
        is_bound = " as " in line
        if (len(block) > 1 or is_bound or not CONSTANT.match(block[0])) and any(map(LEAVES.match, block)):
            found.append(f"{path.name}:{number + 1}")
    assert not found
