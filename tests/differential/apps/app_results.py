"""Results of every kind; the request id names the one to return."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import os
import pathlib
import sys
import types
import uuid

D = decimal.Decimal
Point = collections.namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Word(str, enum.Enum):  # noqa: UP042  a str-based Enum is what is tested
    HI = "hi"


class Text(str):
    pass


class Whole(int):
    pass


class LoudInt(int):
    def __repr__(self):
        return "loud"

    __str__ = __repr__


class Real(float):
    pass


class LoudFloat(float):
    def __repr__(self):
        return "loud"

    __str__ = __repr__


class Row(list):
    pass


class Pair(tuple):
    pass


class Record(dict):
    pass


class Raw(bytes):
    pass


class Money(decimal.Decimal):
    pass


class WithAsDict:
    def _asdict(self):
        return {"a": 1, "b": [2]}


class WithForJson:
    def for_json(self):
        return {"never": "used"}


class BadAsDict:
    def _asdict(self):
        return [1]


class FailingAsDict:
    def _asdict(self):
        raise ValueError("no fields")


class TextWithAsDict(str):
    def _asdict(self):
        return {"a": 1}


class DictWithAsDict(dict):
    def _asdict(self):
        return {"wrong": 1}


class ListWithAsDict(list):
    def _asdict(self):
        return {"right": 1}


class AsDictAttribute:
    _asdict = 5


@dataclasses.dataclass
class Data:
    a: int
    b: str


class Plain:
    pass


def cycle_list():
    x = [1]
    x.append(x)
    return x


def cycle_dict():
    x = {}
    x["x"] = [x]
    return x


def deep(levels):
    x = []
    for _ in range(levels):
        x = [x]
    return x


def deep_dict(levels):
    x = {}
    for _ in range(levels):
        x = {"k": x}
    return x


async def coroutine():
    return 1


def a_coroutine():
    c = coroutine()
    c.close()
    return c


RESULTS = {
    "none": lambda: None,
    "true": lambda: True,
    "false": lambda: False,
    "empty-list": lambda: [],
    "empty-dict": lambda: {},
    "empty-text": lambda: "",
    "nested": lambda: {"a": [1, 2, {"b": None}], "c": "d", "e": [[], {}]},
    "text": lambda: "hello",
    "text-escapes": lambda: '"\\/\b\f\n\r\t\x00\x1f\x7f<>&',
    "text-accents": lambda: "äöü€",
    "text-emoji": lambda: "😀",
    "text-line-separators": lambda: "\u2028\u2029",
    "text-long-ascii": lambda: "x" * 5000,
    "text-long-mixed": lambda: "xä" * 3000,
    "key-accents": lambda: {"ä": 1},
    "int-zero": lambda: 0,
    "int-negative": lambda: -7,
    "int-64-min": lambda: -(2**63),
    "int-64-max": lambda: 2**63 - 1,
    "int-unsigned-max": lambda: 2**64 - 1,
    "int-beyond-unsigned": lambda: 2**64,
    "int-beyond-signed": lambda: -(2**63) - 1,
    "int-100-digits": lambda: 10**100 + 7,
    "int-nested-big": lambda: {"a": [2**70, {"b": -(2**80)}]},
    "int-4300-digits": lambda: 10**4299,
    "int-5000-digits": lambda: 10**5000,
    "float": lambda: 1.5,
    "float-whole": lambda: 1.0,
    "float-minus-zero": lambda: -0.0,
    "float-small": lambda: 1e-7,
    "float-large": lambda: 1e16,
    "float-larger": lambda: 1e22,
    "float-tenths": lambda: 0.1 + 0.2,
    "float-min": lambda: 5e-324,
    "float-max": lambda: sys.float_info.max,
    "float-nan": lambda: float("nan"),
    "float-inf": lambda: float("inf"),
    "float-minus-inf": lambda: float("-inf"),
    "float-nan-nested": lambda: {"a": [float("nan"), float("inf")]},
    "decimal": lambda: D("1.10"),
    "decimal-exponent": lambda: D("1E+3"),
    "decimal-minus-zero": lambda: D("-0"),
    "decimal-long": lambda: D("1." + "1234567890" * 5),
    "decimal-nan": lambda: D("NaN"),
    "decimal-signalling-nan": lambda: D("-sNaN"),
    "decimal-inf": lambda: D("Infinity"),
    "decimal-nested": lambda: {"price": D("9.99"), "all": [D(1), D("0.5")]},
    "decimal-subclass": lambda: Money("3.50"),
    "namedtuple": lambda: Point(1, "y"),
    "namedtuple-nested": lambda: {"p": [Point(1, Point(2, 3))]},
    "asdict-object": lambda: WithAsDict(),
    "asdict-not-a-dict": lambda: BadAsDict(),
    "asdict-raises": lambda: FailingAsDict(),
    "asdict-on-str": lambda: TextWithAsDict("t"),
    "asdict-on-dict": lambda: DictWithAsDict(a=2),
    "asdict-on-list": lambda: ListWithAsDict([1]),
    "asdict-attribute": lambda: AsDictAttribute(),
    "for-json": lambda: WithForJson(),
    "tuple": lambda: (1, (2, 3)),
    "sub-str": lambda: Text("t"),
    "sub-int": lambda: Whole(5),
    "sub-int-loud": lambda: LoudInt(5),
    "sub-float": lambda: Real(1.5),
    "sub-float-loud": lambda: LoudFloat(1.5),
    "sub-float-nan": lambda: Real("nan"),
    "sub-list": lambda: Row([1, 2]),
    "sub-tuple": lambda: Pair((1, 2)),
    "sub-dict": lambda: Record(a=1),
    "sub-nested": lambda: {"a": [Real(2.5), Pair([Text("x")]), Record(b=Whole(3))]},
    "enum": lambda: Colour.RED,
    "enum-int": lambda: Number.ONE,
    "enum-str": lambda: Word.HI,
    "ordered-dict": lambda: collections.OrderedDict([("b", 1), ("a", 2)]),
    "default-dict": lambda: collections.defaultdict(int, {"a": 1}),
    "counter": lambda: collections.Counter("aab"),
    "bytes": lambda: b"raw \x00\xff bytes",
    "bytes-empty": lambda: b"",
    "bytes-subclass": lambda: Raw(b"raw"),
    "bytes-nested": lambda: {"a": b"text \xc3\xa4", "b": [b"c"]},
    "bytes-nested-not-utf8": lambda: [b"\xff"],
    "bytearray": lambda: bytearray(b"x"),
    "bytearray-nested": lambda: [bytearray(b"x")],
    "memoryview": lambda: memoryview(b"x"),
    "array": lambda: array.array("i", [1, 2]),
    "set": lambda: {1},
    "set-nested": lambda: {"a": [{1}]},
    "frozenset": lambda: frozenset([1]),
    "generator": lambda: (x for x in ()),
    "range": lambda: range(3),
    "deque": lambda: collections.deque([1]),
    "dict-keys": lambda: {1: 2}.keys(),
    "user-dict": lambda: collections.UserDict(a=1),
    "mapping-proxy": lambda: types.MappingProxyType({"a": 1}),
    "path": lambda: pathlib.PurePosixPath("/a"),
    "fraction": lambda: fractions.Fraction(1, 3),
    "complex": lambda: 1j,
    "object": lambda: Plain(),
    "class": lambda: Plain,
    "ellipsis": lambda: ...,
    "datetime": lambda: datetime.datetime(2020, 1, 2, 3, 4, 5),
    "datetime-zone": lambda: datetime.datetime(2020, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
    "date": lambda: datetime.date(2020, 1, 2),
    "time": lambda: datetime.time(3, 4, 5),
    "timedelta": lambda: datetime.timedelta(1),
    "uuid": lambda: uuid.UUID(int=1),
    "dataclass": lambda: Data(1, "x"),
    "dataclass-nested": lambda: {"d": [Data(1, "x")]},
    "coroutine": a_coroutine,
    "lone-surrogate": lambda: "a\ud800b",
    "lone-surrogate-key": lambda: {"\udfff": 1},
    "surrogate-pair-apart": lambda: "\ud83d\ude00",
    "cycle-list": cycle_list,
    "cycle-dict": cycle_dict,
    "deep-100": lambda: deep(100),
    "deep-300": lambda: deep(300),
    "deep-300-dict": lambda: deep_dict(300),
    "deep-100000": lambda: deep(100_000),
    "key-int": lambda: {1: "a", -2: "b"},
    "key-big-int": lambda: {2**70: "a"},
    "key-float": lambda: {1.5: "a"},
    "key-bool": lambda: {True: 1, False: 2},
    "key-none": lambda: {None: 1},
    "key-nan": lambda: {float("nan"): 1},
    "key-inf": lambda: {float("-inf"): 1},
    "key-bytes": lambda: {b"k\xc3\xa4": 1},
    "key-decimal": lambda: {D("1.5"): 1},
    "key-tuple": lambda: {(1, 2): 1},
    "key-datetime": lambda: {datetime.datetime(2020, 1, 1): 1},
    "key-date": lambda: {datetime.date(2020, 1, 1): 1},
    "key-uuid": lambda: {uuid.UUID(int=1): 1},
    "key-enum": lambda: {Colour.RED: 1},
    "key-enum-int": lambda: {Number.ONE: 1},
    "key-enum-str": lambda: {Word.HI: 1},
    "key-str-subclass": lambda: {Text("k"): 1},
    "key-int-loud": lambda: {LoudInt(5): 1},
    "key-same-twice": lambda: {1: "a", "1": "b"},
    "key-order": lambda: {"z": 1, "a": 2, "m": 3},
    "large": lambda: [{"id": i, "name": f"item {i}", "price": i / 4} for i in range(3000)],
}


def handler(event, context):
    if context.aws_request_id == "end-of-batch":
        os._exit(0)
    return RESULTS[context.aws_request_id]()
