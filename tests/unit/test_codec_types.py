"""A type means the same in both codecs, in both layouts, and without orjson: built-in ones and the library's."""

from __future__ import annotations

import array
import builtins
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import http
import ipaddress
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import types
import typing
import uuid
import zoneinfo

import pytest
from support import clean_env

from fastlambda._core import Codec
from fastlambda.errors import MarshalError

CODECS = [Codec("stdlib"), Codec("orjson"), Codec("stdlib", "aws"), Codec("orjson", "aws")]


class Plain(enum.Enum):
    A = "a"
    PAIR = (1, 2)
    NOTHING = None


class Flags(enum.IntFlag):
    ONE = 1
    TWO = 2


class Text(enum.StrEnum):
    A = "a"


class Odd(str, enum.Enum):  # noqa: UP042
    """Its members are text, and their values are others."""

    A = 5

    def __new__(cls, value: object) -> Odd:
        member = str.__new__(cls, "text")
        member._value_ = value
        return member


class OddNumber(float, enum.Enum):
    A = "five"

    def __new__(cls, value: object) -> OddNumber:
        member = float.__new__(cls, 5)
        member._value_ = value
        return member


@dataclasses.dataclass(slots=True)
class Data:
    x: int = 1
    _hidden: int = 2
    shared: typing.ClassVar[int] = 3


class Fields(typing.NamedTuple):
    a: int = 1


def subclasses() -> dict[str, object]:
    bases: list[type] = [str, int, float, bytes, list, tuple, dict, datetime.datetime, datetime.date, datetime.time]
    arguments = {datetime.datetime: (2020, 1, 2), datetime.date: (2020, 1, 2), uuid.UUID: ("0" * 32,)}
    made = {base.__name__: type("Own", (base,), {}) for base in [*bases, decimal.Decimal, uuid.UUID]}
    return {f"own {name}": cls(*arguments.get(cls.__base__, ())) for name, cls in made.items()}


def zones() -> dict[str, object]:
    seconds = [0, 1, 29, 30, 61, 90, 3599, 3661, 86399]
    offsets = [
        datetime.timedelta(seconds=sign * s, microseconds=sign * 5 * (s == 3661)) for s in seconds for sign in (1, -1)
    ]
    found: dict[str, object] = {
        f"offset {o}": datetime.datetime(2020, 1, 2, 3, 4, 5, 6, datetime.timezone(o)) for o in offsets
    }
    found["old zone"] = datetime.datetime(1900, 7, 2, tzinfo=zoneinfo.ZoneInfo("Europe/Amsterdam"))
    found["summer"] = datetime.datetime(2020, 7, 2, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    return found


BUILT_IN = (
    b"a", bytearray(b"a"), memoryview(b"a"), [1], (1,), {1}, frozenset([1]), range(2), {"a": 1}, slice(1), ...,
    object(), NotImplemented, int, len, (x for x in ()), sys, {1: 2}.keys(), {1: 2}.items(), ValueError("a"), list[int],
)  # fmt: skip
NUMBERS_AND_TEXT = (None, True, 1, 2**70, -(2**64), 1.5, 1e300, -0.0, float("nan"), 1j, "é", "\ud800")
LIBRARY = (
    types.SimpleNamespace(a=1), types.MappingProxyType({"a": 1}), array.array("i", [1]), collections.OrderedDict(a=1),
    collections.Counter("a"), collections.defaultdict(int, a=1), collections.deque([1]), collections.UserDict(a=1),
    collections.ChainMap({"a": 1}), fractions.Fraction(1, 2), decimal.Decimal("1E+5"), Data(), Fields(),
    re.compile("a"), pathlib.PurePath("a"), ipaddress.ip_address("1.1.1.1"), time.gmtime(0), os.stat("/"), os.uname(),
    sys.flags, sys.version_info, zoneinfo.ZoneInfo("UTC"), datetime.timedelta(1), datetime.UTC, uuid.UUID(int=5),
    datetime.datetime(1, 1, 1), datetime.date(1, 1, 1), datetime.time(1, 2, 3, 4),
    datetime.date(2020, 1, 1).isocalendar(),
)  # fmt: skip
MEMBERS = (
    *Plain,
    *Odd,
    *OddNumber,
    *Text,
    Flags(3),
    http.HTTPStatus.OK,
    signal.SIGTERM,
    socket.AF_INET,
    uuid.SafeUUID.safe,
)
VALUES: dict[str, object] = {
    **{ascii(value): value for value in NUMBERS_AND_TEXT},
    **{type(value).__name__: value for value in (*BUILT_IN, *LIBRARY)},
    **{str(member): member for member in MEMBERS},
    "decimal nan": decimal.Decimal("nan"),
    "a time with a zone": datetime.time(1, 2, tzinfo=datetime.UTC),
    "a class": Data,
    "microseconds": datetime.datetime(2020, 1, 2, 3, 4, 5, 60),
    **subclasses(),
    **zones(),
}
if sys.version_info >= (3, 15):
    frozendict = builtins.frozendict  # type: ignore[attr-defined]
    VALUES |= {
        "frozendict": frozendict(b=1, a=[frozendict()]),
        "frozendict with what orjson does not know": frozendict(a=decimal.Decimal("1.10")),
        "own frozendict": type("Own", (frozendict,), {})(a=1),
        "frozendict with a key that is no text": frozendict({1: 2}),
        "sentinel": builtins.sentinel("X"),  # type: ignore[attr-defined]
    }
KEYS = [
    Text.A,
    Odd.A,
    Flags.ONE,
    uuid.UUID(int=1),
    datetime.date(2020, 1, 1),
    (1,),
    None,
    True,
    2**70,
    1.5,
    b"a",
    "\ud800",
]


def meaning(codec: Codec, value: object) -> str:
    try:
        return repr(json.loads(codec.encode(value), object_pairs_hook=list))
    except MarshalError:
        return "refused"


@pytest.mark.parametrize("name", VALUES)
def test_a_type_means_the_same_whichever_codec_and_layout(name: str) -> None:
    for value in (VALUES[name], {"x": [VALUES[name]]}):
        assert len({meaning(codec, value) for codec in CODECS}) == 1


@pytest.mark.parametrize("key", KEYS, ids=lambda key: type(key).__name__)
def test_a_key_means_the_same_whichever_codec_and_layout(key: object) -> None:
    assert len({meaning(codec, {key: 1}) for codec in CODECS}) == 1


@pytest.mark.skipif(sys.version_info < (3, 15), reason="frozendict came with Python 3.15")
def test_a_frozendict_is_an_object() -> None:
    for codec in CODECS:
        assert json.loads(codec.encode(VALUES["frozendict"])) == {"b": 1, "a": [{}]}
        assert json.loads(codec.encode(VALUES["own frozendict"])) == {"a": 1}


def test_an_enum_is_its_value_also_where_it_is_text_or_a_number() -> None:
    for codec in CODECS:
        assert json.loads(codec.encode([Odd.A, OddNumber.A, Flags(3)])) == [5, "five", 3]


WITHOUT = """
import sys
sys.modules["orjson"] = None
import test_codec_types as t
for name, value in t.VALUES.items():
    print(ascii(name), ascii(t.meaning(t.Codec(), value)))
"""


def test_a_type_means_the_same_where_orjson_is_not_installed() -> None:
    folder = pathlib.Path(__file__).resolve().parent
    env = clean_env(PYTHONPATH=os.pathsep.join([str(folder), str(folder.parent)]))
    command = [sys.executable, "-c", WITHOUT]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True)
    told = [f"{name!a} {meaning(CODECS[1], value)!a}" for name, value in VALUES.items()]
    changes = {"stat_result", "uname_result", "flags"}  # what differs between processes is not compared
    kept = [line for line in done.stdout.splitlines() if line.split("'")[1] not in changes]
    assert kept == [line for line in told if line.split("'")[1] not in changes]
