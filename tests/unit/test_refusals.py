"""Refusing a document is no loop over its characters in Python: the count of what is executed does not grow with it.

bench/refusals.py measures the same documents by time, the loops of the extension among them.
"""

from __future__ import annotations

import random
import sys
from types import FrameType
from typing import Any

import pytest
from support import ROOT

from fastlambda._core import Codec, count_hard_floats, ends_in_object, find_outside
from fastlambda.errors import UnmarshalError

sys.path.insert(0, str(ROOT / "bench"))

import refusals

NAMES = list(refusals.documents(100))


def n_lines(codec: Codec, document: bytes) -> int:
    """Lines of Python that are executed while a document is decoded."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += 1
        return trace

    sys.settrace(trace)
    try:
        codec.decode(document)
    except UnmarshalError:
        pass
    finally:
        sys.settrace(None)
    return count


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("choice", ["orjson", "stdlib"])
def test_a_refusal_executes_as_much_for_a_large_document_as_for_a_small_one(choice: str, name: str) -> None:
    codec = Codec(choice)
    small, large = refusals.documents(20_000)[name], refusals.documents(60_000)[name]
    n_lines(codec, small)  # whatever is imported, now it is
    assert n_lines(codec, large) <= n_lines(codec, small) + 5


def innermost(text: str) -> bool:
    """The same, as one would write it."""
    opened, is_inside, i = [""], False, 0
    while i < len(text):
        if is_inside and text[i] == "\\":
            i += 1
        elif text[i] == '"':
            is_inside = not is_inside
        elif not is_inside and text[i] in "[{":
            opened.append(text[i])
        elif not is_inside and text[i] in "]}":
            opened.pop()
        i += 1
    return opened[-1] == "{"


def valid_beginning(rng: random.Random) -> str:
    """The beginning of a document, cut outside of strings."""
    text, opened = "", []
    for _ in range(rng.randrange(40)):
        what = rng.randrange(6)
        if what < 2:
            opened.append("[{"[what])
            text += opened[-1]
        elif what == 2 and opened:
            text += "]" if opened.pop() == "[" else "}"
        elif what == 3:
            inside = ["\\\\", '\\"', "[", "}", "{", "]", "NaN", "é", "\U0001f600", "\\n"]
            text += '"' + "".join(rng.choice(inside) for _ in range(rng.randrange(6))) + '"'
        else:
            text += rng.choice([" ", "1,", "\n", ": "])
    return text


def test_the_innermost_bracket_and_a_word_outside_of_strings_are_found() -> None:
    rng = random.Random(20261126)
    n_objects = 0
    for _ in range(3000):
        text = valid_beginning(rng)
        assert ends_in_object(text) == innermost(text), text
        n_objects += innermost(text)
        assert find_outside(text, b"NaN") == -1, text
        assert find_outside(text + "NaN, NaN", b"NaN") == len(text), text
    assert 300 < n_objects < 2700


def test_hard_floats_are_counted_and_texts_are_not() -> None:
    assert (
        count_hard_floats(b'[1e-300, 1E-310, 0.12345678901234567890, 1e-30, 1e300, 123.5, "12345678901234567890123"]')
        == 3
    )
    assert count_hard_floats(b"") == count_hard_floats(b"1e-3") == 0
