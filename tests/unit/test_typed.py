"""Declared types: what a Runner class declares, which library decodes it, and what a wrong event is told."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import subprocess
import sys
import types
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Generic, Literal, NewType, Optional, TypedDict, TypeVar, Union

import msgspec
import pydantic
import pytest
import typing_extensions
from support import PATIENCE, ROOT, clean_env

from fastlambda import LambdaEvent, Runner, exec_test, typed
from fastlambda.errors import MarshalError, UnmarshalError, UsageError

E = TypeVar("E")
R = TypeVar("R")


@dataclasses.dataclass
class Line:
    sku: str
    quantity: int = 1


@dataclasses.dataclass
class Order:
    id: int
    lines: list[Line] = dataclasses.field(default_factory=list)
    placed: datetime.datetime | None = None


class Colour(enum.Enum):
    RED = "red"


class Struct(msgspec.Struct):
    id: int
    line: Line | None = None


class Model(pydantic.BaseModel):
    id: int
    line: Line | None = None
    long_name: str = pydantic.Field("n", serialization_alias="longName")


@pydantic.dataclasses.dataclass
class Checked:
    id: Annotated[int, pydantic.Field(gt=0)]


class StructOfModel(msgspec.Struct):
    model: Model


@dataclasses.dataclass
class HoldsModel:
    models: list[Model]


class Plain(TypedDict):
    id: int
    note: typing_extensions.NotRequired[str]


class Modern(typing_extensions.TypedDict):
    model: Model


@dataclasses.dataclass
class Cat:
    meows: int


@dataclasses.dataclass
class Dog:
    barks: int


OrderId = NewType("OrderId", int)
Checkout = NewType("Checkout", Order)

PLAIN = {
    "any": Any,
    "object": object,
    "dict": dict,
    "list": list,
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "none": None,
    "none type": type(None),
    "type variable": E,
    "dict of any": dict[str, Any],
    "typing dict": dict[str, object],
    "mapping": Mapping[str, list[int]],
    "union": str | int | None,
    "old union": Union[str, dict[str, Any]],  # noqa: UP007
    "old optional": Optional[list[int]],  # noqa: UP045
    "new type": OrderId,
    "list of new type": list[OrderId],
}


@pytest.mark.parametrize("tp", PLAIN.values(), ids=PLAIN)
def test_plain_json_types_need_no_library(tp: Any) -> None:
    assert typed.decoder(tp) is None
    assert typed.encoder(tp) is None


def test_bytes_are_the_raw_payload() -> None:
    decode = typed.decoder(bytes)
    assert decode is not None
    assert decode(b"\x00 not JSON") == b"\x00 not JSON"
    assert typed.encoder(bytes) is None


UUID_TEXT = "7d4e5c5e-0000-4000-8000-000000000001"
DECODED = {
    "dataclass": (Order, b'{"id": 1, "lines": [{"sku": "tea"}], "unknown": 0}', Order(1, [Line("tea", 1)])),
    "datetime": (
        Order,
        b'{"id": 1, "placed": "2026-01-02T03:04:05Z"}',
        Order(1, [], datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)),
    ),
    "typed dict": (Plain, b'{"id": 1, "note": "x"}', {"id": 1, "note": "x"}),
    "struct": (Struct, b'{"id": 1, "line": {"sku": "s"}}', Struct(1, Line("s"))),
    "pydantic model": (Model, b'{"id": 1, "line": {"sku": "s"}}', Model(id=1, line=Line("s"))),
    "pydantic dataclass": (Checked, b'{"id": 1}', Checked(1)),
    "struct with a pydantic model": (StructOfModel, b'{"model": {"id": 2}}', StructOfModel(Model(id=2))),
    "dataclass with pydantic models": (HoldsModel, b'{"models": [{"id": 2}]}', HoldsModel([Model(id=2)])),
    "typed dict with a pydantic model": (Modern, b'{"model": {"id": 2}}', {"model": Model(id=2)}),
    "list of dataclasses": (list[Line], b'[{"sku": "a"}]', [Line("a")]),
    "dict of models": (dict[str, Model], b'{"a": {"id": 1}}', {"a": Model(id=1)}),
    "optional": (Order | None, b"null", None),
    "new type of a dataclass": (Checkout, b'{"id": 1}', Order(1)),
    "annotated": (Annotated[int, msgspec.Meta(gt=0)], b"3", 3),
    "keys that are not text": (dict[int, str], b'{"1": "a"}', {1: "a"}),
    "tuple": (tuple[int, str], b'[1, "a"]', (1, "a")),
    "uuid": (uuid.UUID, json.dumps(UUID_TEXT).encode(), uuid.UUID(UUID_TEXT)),
    "enum": (Colour, b'"red"', Colour.RED),
    "literal": (Literal["a", "b"], b'"b"', "b"),
    "decimal": (list[decimal.Decimal], b"[1.10]", [decimal.Decimal("1.10")]),
    "two dataclasses, which msgspec cannot tell apart": (Cat | Dog, b'{"barks": 1}', Dog(1)),
}


@pytest.mark.parametrize(("tp", "body", "value"), DECODED.values(), ids=DECODED)
def test_events_are_decoded_into_the_declared_type(tp: Any, body: bytes, value: object) -> None:
    decode = typed.decoder(tp)
    assert decode is not None
    assert decode(body) == value
    assert type(decode(body)) is type(value)
    assert decode(b"\xef\xbb\xbf" + body) == value, "a BOM is accepted, as everywhere"


WRONG = {
    "dataclass": (Order, b'{"id": 1, "lines": [{"sku": 7}]}', ["Expected `str`, got `int`", "$.lines[0].sku", "Order"]),
    "missing": (Order, b"{}", ["missing required field `id`"]),
    "typed dict": (Plain, b'{"id": "1"}', ["Expected `int`, got `str`", "`$.id`"]),
    "struct": (Struct, b'{"id": 1, "line": {}}', ["missing required field `sku`", "`$.line`"]),
    "pydantic": (Model, b'{"id": "x", "line": {}}', ["valid integer", "`$.id`", "Field required", "`$.line.sku`"]),
    "pydantic dataclass": (Checked, b'{"id": 0}', ["greater than 0", "`$.id`"]),
    "model in a struct": (StructOfModel, b'{"model": {"id": "x"}}', ["valid integer", "(in `id`)", "`$.model`"]),
    "list": (list[Model], b'[{"id": 1}, {}]', ["Field required", "`$[1].id`"]),
    "BOM before a wrong event": (Plain, b'\xef\xbb\xbf{"id": "1"}', ["Expected `int`, got `str`", "`$.id`"]),
}


@pytest.mark.parametrize(("tp", "body", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_event_says_which_field_and_why(tp: Any, body: bytes, words: list[str]) -> None:
    decode = typed.decoder(tp)
    assert decode is not None
    with pytest.raises(UnmarshalError) as caught:
        decode(body)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.error_type == "Runtime.UnmarshalError"


@pytest.mark.parametrize("tp", [Order, Struct, Model], ids=["dataclass", "struct", "pydantic"])
@pytest.mark.parametrize("body", [b"", b'{"id": ', b"{'id': 1}", b'{"id": NaN}', b"\xff"])
def test_what_is_not_json_is_an_unmarshal_error(tp: Any, body: bytes) -> None:
    decode = typed.decoder(tp)
    assert decode is not None
    with pytest.raises(UnmarshalError):
        decode(body)


def test_a_float_that_is_not_json_is_refused() -> None:
    decode = typed.decoder(dict[int, float])
    assert decode is not None
    with pytest.raises(UnmarshalError, match="NaN is not JSON"):
        decode(b'{"1": NaN}')


def test_the_value_that_came_is_not_in_the_message_of_pydantic() -> None:
    decode = typed.decoder(Model)
    assert decode is not None
    with pytest.raises(UnmarshalError) as caught:
        decode(b'{"id": "hunter2"}')
    assert "hunter2" not in str(caught.value)


def test_many_errors_are_counted_and_not_all_told() -> None:
    decode = typed.decoder(list[Model])
    assert decode is not None
    with pytest.raises(UnmarshalError, match="; and 90 more"):
        decode(b"[" + b",".join([b"{}"] * 100) + b"]")


def test_lone_surrogates_and_long_integers_survive_a_dataclass() -> None:
    decode = typed.decoder(Line)
    assert decode is not None
    assert decode(b'{"sku": "\\ud800", "quantity": 123456789012345678901234567890}') == Line(
        "\ud800", 123456789012345678901234567890
    )


ENCODED = {
    "dataclass": (Order, Order(1, [Line("tea", 2)]), b'{"id":1,"lines":[{"sku":"tea","quantity":2}],"placed":null}'),
    "struct": (Struct, Struct(1, Line("s")), b'{"id":1,"line":{"sku":"s","quantity":1}}'),
    "pydantic, without aliases": (Model, Model(id=1), b'{"id":1,"line":null,"long_name":"n"}'),
    "model in a struct": (
        StructOfModel,
        StructOfModel(Model(id=1)),
        b'{"model":{"id":1,"line":null,"long_name":"n"}}',
    ),
    "a plain value where a dataclass may be": (Order | dict[str, str], {}, b"{}"),
    "decimal as a number": (tuple[decimal.Decimal, ...], (decimal.Decimal("1.10"),), b"[1.10]"),
}


@pytest.mark.parametrize(("tp", "value", "body"), ENCODED.values(), ids=ENCODED)
def test_results_are_encoded_from_the_declared_type(tp: Any, value: object, body: bytes) -> None:
    encode = typed.encoder(tp)
    assert encode is not None
    assert encode(value) == body


def test_a_model_decides_about_its_aliases() -> None:
    class Aliased(Model):
        model_config = pydantic.ConfigDict(serialize_by_alias=True)

    encode = typed.encoder(Aliased)
    assert encode is not None
    assert json.loads(encode(Aliased(id=1)))["longName"] == "n"


@pytest.mark.parametrize("tp", [Order, list[Struct], Model], ids=["dataclass", "struct", "pydantic"])
def test_a_result_that_cannot_be_encoded_is_a_marshal_error(tp: Any) -> None:
    encode = typed.encoder(tp)
    assert encode is not None
    with pytest.raises(MarshalError, match="Unable to marshal response"):
        encode(object())


def test_a_type_beyond_the_library_is_told_when_the_function_starts() -> None:
    class One(msgspec.Struct):
        a: int

    class Two(msgspec.Struct):
        a: int

    with pytest.raises(UsageError, match="msgspec cannot handle the type"):
        typed.decoder(One | Two)


# ---- what a class declares ----------------------------------------------------------------------------------------


class Direct(Runner[None, Order, Line]):
    pass


class Inherited(Direct):
    pass


class Open(Runner[None, E, R], Generic[E, R]):
    pass


class OpenImplicitly(Runner[None, E, list[E]]):
    pass


class Swapped(Open[R, E], Generic[E, R]):
    pass


class Named(Runner[None, "Order", "list[Line]"]):
    pass


class Inner(Runner[None, "Event", object]):
    @dataclasses.dataclass
    class Event:
        id: int


Bounded = TypeVar("Bounded", bound=Order)


class WithBound(Runner[None, Bounded, Bounded]):
    pass


class Bare(Runner):  # type: ignore[type-arg]
    pass


DECLARED = {
    "directly": (Direct, (Order, Line)),
    "through a parent": (Inherited, (Order, Line)),
    "as text": (Named, (Order, list[Line])),
    "as text, inside of the class": (Inner, (Inner.Event, object)),
    "by a bound": (WithBound, (Order, Order)),
    "not at all": (Bare, (Any, Any)),
}


class Filled(Open[Order, Line]):
    pass


class FilledImplicitly(OpenImplicitly[Order]):
    pass


class FilledSwapped(Swapped[Order, Line]):
    pass


DECLARED["by a generic class's arguments"] = (Filled, (Order, Line))
DECLARED["by the only argument"] = (FilledImplicitly, (Order, list[Order]))
DECLARED["by arguments in another order"] = (FilledSwapped, (Line, Order))
DECLARED["by nobody"] = (Open, (Any, Any))


@pytest.mark.parametrize(("cls", "types"), DECLARED.values(), ids=DECLARED)
def test_types_are_read_from_the_class(cls: type, types: tuple[Any, Any]) -> None:
    assert typed.runner_types(cls)[1:] == types


def test_a_name_that_means_nothing_is_told_with_its_class() -> None:
    class Lost(Runner[None, "Nowhere", object]):  # type: ignore[name-defined]
        pass

    with pytest.raises(UsageError, match="Lost declares the type 'Nowhere'"):
        typed.runner_types(Lost)


def test_a_runner_takes_and_gives_its_declared_types() -> None:
    class Sums(Open[Order, Line]):
        def run(self, shared: None, event: LambdaEvent[Order]) -> Line:
            return Line("all", sum(line.quantity for line in event.event.lines))

    assert exec_test(Sums, {"invocations": [{"id": 1, "lines": [{"sku": "a", "quantity": 2}, {"sku": "b"}]}]}) == [
        Line("all", 3)
    ]


# ---- in a process of its own --------------------------------------------------------------------------------------

CHILD = """
import sys
hidden = sys.argv[1].split(",")
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in hidden:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Hide())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in hidden else find(name)
from dataclasses import dataclass
from fastlambda import Runner, exec_test
@dataclass
class Order:
    id: int
class Orders(Runner[None, Order, Order]):
    def run(self, shared, event):
        return event.event
try:
    print(exec_test(Orders, {"invocations": [{"id": 1}]}))
except Exception as exc:
    print(type(exc).__name__, exc)
print(sorted({"msgspec", "pydantic"} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("hidden", "answer"),
    [
        ("-", "[Order(id=1)]\n['msgspec']\n"),
        ("msgspec", "[Order(id=1)]\n['pydantic']\n"),
        ("msgspec,pydantic", "neither is installed: pip install 'fastlambda[typed]'"),
    ],
    ids=["both", "pydantic only", "neither"],
)
def test_a_dataclass_is_decoded_by_what_is_installed(hidden: str, answer: str) -> None:
    out = subprocess.run(
        [sys.executable, "-c", CHILD, hidden],
        env=clean_env(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert out.stderr == ""
    assert answer in out.stdout


# ---- annotations that nobody may run (PEP 649, from Python 3.14 on) ------------------------------------------------

UNKNOWN = "Decimal" if sys.version_info >= (3, 14) else "'Decimal'"
CHECKED_ONLY = f"""
import dataclasses, typing
import msgspec
from fastlambda import Runner
if typing.TYPE_CHECKING:
    from decimal import Decimal

@dataclasses.dataclass
class Data:
    price: {UNKNOWN}

class Nested(typing.TypedDict):
    rows: list[Data]

class Named(typing.NamedTuple):
    price: {UNKNOWN}

class Struct(msgspec.Struct):
    price: {UNKNOWN}
"""


@pytest.mark.parametrize("name", ["Data", "Nested", "Named", "Struct"])
def test_a_type_with_a_name_for_type_checkers_only_is_refused_at_the_start(name, monkeypatch):
    module: Any = types.ModuleType("checked_only")
    monkeypatch.setitem(sys.modules, "checked_only", module)
    source = CHECKED_ONLY + f"class Orders(Runner[None, {name}, {name}]):\n    pass\n"
    exec(compile(source, "checked_only", "exec", dont_inherit=True), vars(module))
    _, event, result = typed.runner_types(module.Orders)
    for make in (lambda: typed.decoder(event), lambda: typed.converter(event)):
        with pytest.raises(UsageError, match="name 'Decimal' is not defined"):
            make()
    assert result is event
