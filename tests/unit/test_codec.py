"""The JSON rules: both codecs against the standard library, AWS's encoder, and each other."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import math
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import clean_env

from fastlambda._core import Codec
from fastlambda.errors import MarshalError, MemoryExhausted, UnmarshalError, UsageError

CODECS = [Codec("stdlib"), Codec("orjson")]
RULES, QUICK = CODECS

any_int = st.integers() | st.integers(min_value=2**62, max_value=2**66) | st.integers(-(2**66), -(2**62))
scalars = st.none() | st.booleans() | any_int | st.floats() | st.text(st.characters())
finite_scalars = (
    st.none() | st.booleans() | any_int | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters())
)


def trees(leaves, keys):
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(keys, inner, max_size=5), max_leaves=20
    )


values = trees(finite_scalars, st.text(st.characters(exclude_categories=())))
QUICKLY = settings(max_examples=400, deadline=None)


def same(a: object, b: object) -> bool:
    """Equal, with int told from float and 0.0 from -0.0."""
    return repr(a) == repr(b)


# ---- decoding -----------------------------------------------------------------------------------------------------


@QUICKLY
@given(values, st.sampled_from([None, 2]), st.booleans())
@example({"n": [2**64, -(2**63) - 1, 2**64 - 1, 10**19]}, None, True)
def test_decoding_gives_what_the_standard_library_gives(value, indent, is_ascii):
    body = json.dumps(value, indent=indent, ensure_ascii=is_ascii).encode("utf-8", "backslashreplace")
    try:
        expected = json.loads(body)
    except ValueError:
        expected = None
    for codec in CODECS:
        if expected is not None or body == b"null":
            assert same(codec.decode(body), expected)


def refusal(codec, body):
    try:
        return repr(codec.decode(body))
    except UnmarshalError as exc:
        return str(exc)


@QUICKLY
@given(
    st.binary(max_size=40)
    | st.text('[]{},:"0123456789.eE+-truefalsn \n\\u\ud800', max_size=30).map(
        lambda t: t.encode("utf-8", "surrogatepass")
    )
)
@example(b"")
@example(b"\xef\xbb\xbf1")
def test_both_codecs_give_the_same_value_or_the_same_refusal_for_any_bytes(body):
    assert refusal(RULES, body) == refusal(QUICK, body)


@QUICKLY
@given(values, st.integers(0, 2**30), st.binary(min_size=1, max_size=2))
def test_both_codecs_agree_on_damaged_documents(value, at, damage):
    body = json.dumps(value).encode()
    at %= len(body)
    body = body[:at] + damage + body[at + len(damage) :]
    assert refusal(RULES, body) == refusal(QUICK, body)


@QUICKLY
@given(st.text('0123456789-., [":e', max_size=90), st.integers(17, 24), st.integers(0, 60))
def test_no_integer_beyond_64_bits_becomes_a_float(filler, digits, pad):
    number = int("9" * digits)
    body = json.dumps(["x" * pad + filler, number, -number, {"n": number}]).encode()
    assert same(QUICK.decode(body), json.loads(body))


@pytest.mark.parametrize("offset", range(40))
@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**19, -(10**18), 10**25])
def test_a_wide_integer_is_found_wherever_it_stands(offset, number):
    for body in (b"[%s%d]" % (b" " * offset, number), b'{"%s":%d}' % (b"k" * offset, number)):
        assert same(QUICK.decode(body), json.loads(body))


# ---- encoding -----------------------------------------------------------------------------------------------------


@QUICKLY
@given(values)
def test_what_is_encoded_decodes_to_the_same(value):
    for codec in [*CODECS, Codec("stdlib", "aws")]:
        text = codec.encode(value)
        assert same(json.loads(text), value)
        assert same(codec.decode(text), value)


@QUICKLY
@given(trees(scalars, scalars))
def test_both_codecs_write_the_same_meaning(value):
    def meaning(codec):
        try:
            return json.loads(codec.encode(value), object_pairs_hook=list)
        except MarshalError as exc:
            return str(exc)

    assert same(meaning(RULES), meaning(QUICK))


@QUICKLY
@given(trees(finite_scalars, st.text(st.characters())))
def test_the_layout_of_awss_client_is_that_of_the_standard_library(value):
    # DEL is the one character that AWS's client escapes and the standard library does not.
    expected = json.dumps(value).replace("\x7f", "\\u007f")
    assert Codec(None, "aws").encode(value).decode("ascii") == expected


@QUICKLY
@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_any_text_is_written_as_valid_json(text):
    for codec in CODECS:
        assert json.loads(codec.encode(text)) == text
        assert json.loads(codec.encode({text: text})) == {text: text}


Point = collections.namedtuple("Point", "x y")


class Colour(enum.Enum):
    RED = "red"
    TWO = 2


@dataclasses.dataclass
class Order:
    id: int
    prices: list[decimal.Decimal]
    _hidden: str = "h"


@dataclasses.dataclass
class OrderAsDict:
    id: int

    def _asdict(self):
        return {"own": self.id}


class Real(float):
    pass


class Rows(list):
    def _asdict(self):
        return {"rows": len(self)}


VALUES = {
    "nan": (math.nan, "null"),
    "infinities": ([math.inf, -math.inf], "[null,null]"),
    "nan-in-a-subclass": (Real("nan"), "null"),
    "decimal": (decimal.Decimal("1.10"), "1.10"),
    "decimal-nan": ([decimal.Decimal("NaN"), decimal.Decimal("-Infinity")], "[null,null]"),
    "namedtuple": (Point(1, Point(2, None)), '{"x":1,"y":{"x":2,"y":null}}'),
    "asdict-of-a-list": (Rows([1]), '{"rows":1}'),
    "asdict-before-dataclass": (OrderAsDict(5), '{"own":5}'),
    "dataclass": (Order(1, [decimal.Decimal("2.50")]), '{"id":1,"prices":[2.50],"_hidden":"h"}'),
    "enum": ([Colour.RED, Colour.TWO], '["red",2]'),
    "datetime": (datetime.datetime(2020, 1, 2, 3, 4, 5), '"2020-01-02T03:04:05"'),
    "datetime-utc": (datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC), '"2020-01-02T00:00:00+00:00"'),
    "date": ([datetime.date(2020, 1, 2)], '["2020-01-02"]'),
    "time": (datetime.time(3, 4, 5, 6), '"03:04:05.000006"'),
    "uuid": (uuid.UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
    "bytes-inside": ({"b": b"text"}, '{"b":"text"}'),
    "big-int": (2**64, "18446744073709551616"),
    "big-int-deep": ({"a": [-(2**80)]}, '{"a":[-1208925819614629174706176]}'),
    "keys": (
        {None: 1, True: 2, 5: 3, 2**70: 4, 1.5: 5, b"b": 6},
        '{"null":1,"true":2,"5":3,"1180591620717411303424":4,"1.5":5,"b":6}',
    ),
    "key-nan": ({math.nan: 1, -math.inf: 2}, '{"NaN":1,"-Infinity":2}'),
    "lone-surrogate": ("a\ud800", '"a\\ud800"'),
    "lone-surrogate-key": ({"\udfff": "é"}, '{"\\udfff":"é"}'),
    "ordered-dict": (collections.OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    "default-dict": (collections.defaultdict(list, {1: [2]}), '{"1":[2]}'),
    "raw-utf8": ("äöü€😀", '"äöü€😀"'),
    "controls": ('\x00\x1f\x7f"\\\b\f\n\r\t/', '"\\u0000\\u001f\x7f\\"\\\\\\b\\f\\n\\r\\t/"'),
}


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("codec", CODECS, ids=["stdlib", "orjson"])
def test_a_value_is_written_by_its_rule(name, codec):
    value, expected = VALUES[name]
    assert codec.encode(value).decode() == expected


@pytest.mark.parametrize("codec", CODECS, ids=["stdlib", "orjson"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({1}, "Object of type set is not JSON serializable"),
        ([object()], "Object of type object is not JSON serializable"),
        ({"a": bytearray(b"x")}, "Object of type bytearray is not JSON serializable"),
        ({(1, 2): 3}, "keys must be str, int, float, bool or None, not tuple"),
        ([b"\xff"], "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
    ],
    ids=["set", "object", "bytearray", "tuple-key", "bytes-not-utf8"],
)
def test_what_has_no_json_form_is_a_marshal_error(codec, value, reason):
    with pytest.raises(MarshalError) as caught:
        codec.encode(value)
    assert str(caught.value) == f"Unable to marshal response: {reason}"


@pytest.mark.parametrize("codec", CODECS, ids=["stdlib", "orjson"])
def test_a_cycle_is_told_as_one_and_depth_as_depth(codec):
    cycle: list[object] = [1]
    cycle.append({"x": [cycle]})
    with pytest.raises(MarshalError, match="Circular reference detected"):
        codec.encode(cycle)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(MarshalError, match="recursion" if sys.version_info < (3, 14) else "Stack overflow"):
        codec.encode(deep)


# Levels that every run of that Python takes, with a stack of 8 MiB: docs/json.md.
LEVELS = {(3, 11): 900, (3, 12): 1_400, (3, 13): 9_000}
NESTED = """
import sys
from fastlambda._core import Codec
from fastlambda.errors import MarshalError, UnmarshalError
levels, codec = int(sys.argv[1]), Codec(sys.argv[2])

def nested(n):
    value = 1
    for i in range(n):
        value = [value] if i % 2 else {"a": value}
    return value

text = codec.encode(nested(levels))
value = codec.decode(text)
assert codec.encode(value) == text
for refuse, error in ((lambda: codec.encode(nested(500_000)), MarshalError),
                      (lambda: codec.decode(b"[" * 500_000 + b"]" * 500_000), UnmarshalError)):
    try:
        refuse()
    except error as exc:
        assert "recursion" in str(exc) or "Stack overflow" in str(exc), exc
    else:
        sys.exit("not refused")
"""


@pytest.mark.parametrize("choice", ["stdlib", "orjson"])
def test_documents_are_as_deep_as_this_python_takes_them_and_deeper_ones_are_refused(choice):
    import resource

    def eight_mebibytes():
        _, hard = resource.getrlimit(resource.RLIMIT_STACK)
        resource.setrlimit(resource.RLIMIT_STACK, (8 << 20, hard))

    levels = LEVELS.get(sys.version_info[:2], 30_000)
    command = [sys.executable, "-c", NESTED, str(levels), choice]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_env(), preexec_fn=eight_mebibytes)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("codec", CODECS, ids=["stdlib", "orjson"])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, MemoryExhausted])
def test_an_interruption_while_encoding_is_not_taken_for_a_bad_result(codec, interruption):
    class Stops:
        def _asdict(self):
            raise interruption

    with pytest.raises(interruption):
        codec.encode([Stops()])


def test_a_dict_that_changes_while_it_is_written_is_refused():
    members: dict[str, object] = {}

    class Grows:
        def _asdict(self):
            members["new"] = 1
            return {}

    members["a"] = Grows()
    members["b"] = 1
    with pytest.raises(MarshalError, match="changed size"):
        RULES.encode(members)


def test_a_codec_may_be_used_while_it_encodes():
    class Nested:
        def _asdict(self):
            return {"inner": RULES.encode([1, "x" * 10_000]).decode()}

    assert json.loads(RULES.encode([Nested(), Nested()]))[1]["inner"].startswith('[1,"xxx')


# ---- the switch ---------------------------------------------------------------------------------------------------

STEPS = [{"n": n, "big": 2**70, "text": "é" * n} for n in range(12)]


def run_steps(codec, switch_after=-1):
    out = []
    for n, value in enumerate(STEPS):
        if n == switch_after:
            codec.buy()
        body = codec.encode(value)
        out.append((body, repr(codec.decode(body))))
        codec.settle()
    return out


@pytest.mark.parametrize("point", range(len(STEPS)))
def test_switching_at_any_point_changes_nothing_that_is_seen(point):
    codec = Codec()
    assert run_steps(codec, point) == run_steps(Codec("stdlib"))
    assert codec.name == "orjson"


@pytest.mark.parametrize("budget", [0, 1, 50, 100, 101, 500, 10_000])
def test_orjson_is_bought_between_invocations_when_the_rent_reaches_its_price(budget):
    codec = Codec(None, None, budget)
    spent = 0
    for value in STEPS:
        body = codec.encode(value)
        if codec.name == "stdlib":
            spent += len(body)
            assert codec.rented == spent
        codec.settle()
        assert (codec.name == "orjson") == (spent > budget)


def test_one_document_that_costs_more_than_the_import_buys_at_once():
    codec = Codec(None, None, 1000)
    codec.decode(b"1")
    assert codec.name == "stdlib"
    codec.decode(b'"' + b"x" * 1000 + b'"')
    assert codec.name == "orjson"


BUDGET = 3 * 1024 * 1024
FREE = 192  # bytes of a document that cost nothing (docs/json.md)


def test_documents_that_are_as_quick_without_orjson_never_buy_it():
    """Six times as many bytes as the budget, half read and half written."""
    codec = Codec()
    body = b'"' + b"x" * (FREE - 2) + b'"'
    for _ in range(3 * BUDGET // FREE):
        codec.encode(codec.decode(body))
        codec.settle()
    assert (codec.name, codec.rented) == ("stdlib", 0)


@pytest.mark.parametrize("excess", [64, 1024])
def test_a_larger_document_pays_for_what_is_over_the_free_bytes(excess):
    codec = Codec()
    body = b'"' + b"x" * (FREE + excess - 2) + b'"'
    n_free = BUDGET // (2 * excess)
    for _ in range(n_free):
        codec.encode(codec.decode(body))
        codec.settle()
    assert (codec.name, codec.rented) == ("stdlib", BUDGET)
    codec.decode(body)
    codec.settle()
    assert codec.name == "orjson"


def test_stdlib_never_buys_and_orjson_does_at_once():
    assert Codec("orjson").name == "orjson"
    codec = Codec("stdlib", None, 0)
    codec.decode(b"[1,2,3]")
    codec.settle()
    codec.look_around()
    assert codec.name == "stdlib"


def test_an_unknown_choice_is_refused():
    with pytest.raises(UsageError, match="FASTLAMBDA_JSON"):
        Codec("simplejson")
    with pytest.raises(UsageError, match="FASTLAMBDA_JSON_LAYOUT"):
        Codec(None, "wide")


LOOK = """
import sys
{first}
from fastlambda._core import Codec
codec = Codec()
before = set(sys.modules)
codec.look_around()
codec.decode(codec.encode({{"a": [1, 2.5, None, "x"]}}))
print(codec.name, sorted(set(sys.modules) - before)[:3])
"""


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("", "stdlib []"),
        ("import json", "stdlib []"),
        ("import json, uuid, dataclasses", "orjson "),
        ("import orjson", "orjson "),
    ],
)
def test_after_init_orjson_is_taken_when_its_imports_are_there(first, expected, tmp_path: Path):
    found = subprocess.run(
        [sys.executable, "-c", LOOK.format(first=first)],
        env=clean_env(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found.startswith(expected)


def test_without_orjson_the_rules_go_on(tmp_path: Path):
    (tmp_path / "orjson.py").write_text("raise ImportError('built for another processor')\n")
    program = "from fastlambda._core import Codec; c = Codec('orjson'); print(c.name, c.decode(c.encode([1, 2**70])))"
    found = subprocess.run(
        [sys.executable, "-c", program], env=clean_env(), cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert found.split() == ["stdlib", "[1,", "1180591620717411303424]"]
