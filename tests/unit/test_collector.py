"""The garbage collector while an event is decoded: it rests, and is left as it was."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fastlambda._core import Codec
from fastlambda.errors import UnmarshalError

MANY = b"[" + b"[[]]," * 50_000 + b"0]"


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    assert gc.isenabled()
    yield
    gc.enable()


def collections() -> int:
    return sum(generation["collections"] for generation in gc.get_stats())


@pytest.mark.parametrize("choice", ["orjson", "stdlib"])
def test_a_large_event_is_not_searched_for_garbage_while_it_is_built(choice: str) -> None:
    codec = Codec(choice)
    codec.decode(b"[]")
    gc.collect()
    before = collections()
    event = codec.decode(MANY)
    # From 3.12 on a collection that is due comes with the next step of Python code: one, not one for each 700 lists.
    assert collections() - before <= 1
    assert len(event) == 50_001  # type: ignore[arg-type]


@pytest.mark.parametrize("choice", ["orjson", "stdlib"])
def test_the_collector_is_left_as_it_was(choice: str) -> None:
    codec = Codec(choice)
    codec.decode(b"{}")
    assert gc.isenabled()
    with pytest.raises(UnmarshalError):
        codec.decode(b"[1,")
    assert gc.isenabled()
    gc.disable()
    codec.decode(b"{}")
    assert not gc.isenabled()
