"""Building a report never raises, whatever the exception does, nor does writing it, whatever the stream does."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from fastlambda.errors import ErrorReport, complain


class Untold:
    def __str__(self) -> str:
        raise RuntimeError("no")


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no")


class OfNameless(Exception, metaclass=Nameless):
    pass


class Refusing:
    def write(self, *args: Any) -> None:
        raise RuntimeError("no")

    flush = write


def odd(notes: Any) -> Exception:
    exc = ValueError("odd")
    exc.__notes__ = notes  # what a debugger, a library or a typing error leaves there
    return exc


@pytest.mark.parametrize(
    "notes", [5, [Untold()], "text", object(), {1: 2}], ids=["int", "untold", "text", "object", "dict"]
)
def test_an_exception_with_odd_notes_is_reported(notes: Any) -> None:
    document = json.loads(ErrorReport(odd(notes), "id-1").body)
    assert (document["errorType"], document["errorMessage"]) == ("ValueError", "odd")


def test_a_class_whose_name_cannot_be_told_is_reported() -> None:
    document = json.loads(ErrorReport(OfNameless("odd"), "id-1").body)
    assert (document["errorType"], document["errorMessage"]) == ("Exception", "odd")


def test_a_stream_of_the_users_that_raises_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Refusing())
    monkeypatch.setattr(sys, "stderr", Refusing())
    ErrorReport(ValueError("odd"), "id-1").log()
    complain("something")
