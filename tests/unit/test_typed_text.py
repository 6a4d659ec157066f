"""Values that come as text, as the properties of a custom resource do, and what the libraries make of them."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
from typing import Any, Literal, Optional

import pytest
from support import ROOT

from fastlambda import typed
from fastlambda.errors import UnmarshalError

TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "int | None": Optional[int],  # noqa: UP045
    "Literal[1, 2]": Literal[1, 2],
    'Literal["a"]': Literal["a"],
    "IntEnum": enum.IntEnum("Number", {"ONE": 1}),
    "Decimal": decimal.Decimal,
    "date": datetime.date,
    "datetime": datetime.datetime,
    "timedelta": datetime.timedelta,
    "list[int]": list[int],
    "dict[int, int]": dict[int, int],
}
TEXTS = [
    "0",
    "1",
    "-1",
    "012",
    "+5",
    " 5 ",
    "1_000",
    "1e3",
    "5.0",
    "5.5",
    "NaN",
    "inf",
    "true",
    "True",
    "false",
    "on",
    "off",
]
TEXTS += [
    "yes",
    "no",
    "t",
    "f",
    "y",
    "n",
    "",
    "null",
    "None",
    "a",
    "2020-01-02",
    "2020-01-02T03:04:05",
    "2020-01-02T03:04:05Z",
]
TEXTS += ["PT5S", "aGk=", "[1]", "1,2", str(10**20)]
REFUSED = object()


def converted(library: str, declared: Any, text: str) -> Any:
    kind = dataclasses.make_dataclass("Properties", [("value", declared)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typed, "_library", lambda tp: library)
        convert = typed.converter(kind)
    assert convert is not None
    try:
        return convert({"value": text}).value
    except UnmarshalError:
        return REFUSED


def row(name: str) -> str | None:
    """What differs for one type, as docs/typed.md has it; None: nothing."""
    by_msgspec, by_pydantic, differently = [], [], []
    for text in TEXTS:
        one, other = (converted(library, TYPES[name], text) for library in ("msgspec", "pydantic"))
        if one is REFUSED and other is not REFUSED:
            by_pydantic.append(text)
        elif other is REFUSED and one is not REFUSED:
            by_msgspec.append(text)
        elif one != other and repr(one) != repr(other):
            differently.append(text)
    cells = [", ".join(f"`{text}`" for text in texts) or "–" for texts in (by_msgspec, by_pydantic, differently)]
    return f"| `{name.replace('|', chr(92) + '|')}` | {' | '.join(cells)} |" if cells != ["–"] * 3 else None


def table() -> str:
    return "\n".join(filter(None, map(row, TYPES)))


def test_where_the_libraries_differ_is_in_the_documentation() -> None:
    text = (ROOT / "docs/typed.md").read_text()
    head = "| declared | msgspec alone takes | pydantic alone takes | both take, differently |\n|---|---|---|---|\n"
    told = text.partition(head)[2].partition("\n\n")[0]
    assert told == table()


@pytest.mark.parametrize("library", ["msgspec", "pydantic"])
def test_what_cloudformation_sends_means_the_same_with_both(library: str) -> None:
    for declared, text, value in [
        (int, "5", 5),
        (int, "-1", -1),
        (float, "5.5", 5.5),
        (bool, "true", True),
        (bool, "false", False),
        (bool, "1", True),
        (str, "012", "012"),
        (decimal.Decimal, "5.5", decimal.Decimal("5.5")),
    ]:
        got = converted(library, declared, text)
        assert got == value and type(got) is type(value)
