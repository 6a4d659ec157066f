"""Secrets as declared types: nothing is lost when they are written back, and nothing of them is told."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlambda.rotate import Event, RotateRunner, RotationError, SecretContainer, SecretType, Step


@dataclasses.dataclass
class Inner:
    tls: bool = True


@dataclasses.dataclass
class Login:
    password: str
    port: int = 5432
    inner: Inner = dataclasses.field(default_factory=Inner)
    inners: list[Inner] = dataclasses.field(default_factory=list)
    tags: dict[str, str] = dataclasses.field(default_factory=dict)


class Struct(msgspec.Struct, rename="camel"):
    pass_word: str


class Model(pydantic.BaseModel):
    password: str = pydantic.Field(alias="PassWord")


class Crooked(pydantic.BaseModel):
    password: str = pydantic.Field(validation_alias="read", serialization_alias="written")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
REST = st.dictionaries(st.text(), JSON, max_size=3)


@settings(max_examples=60, deadline=None)
@given(REST, REST, st.lists(REST, max_size=3), st.text(), st.booleans())
def test_fields_that_the_type_does_not_have_are_kept_at_every_depth(
    rest: dict[str, Any], inner: dict[str, Any], inners: list[dict[str, Any]], password: str, is_binary: bool
) -> None:
    stored = {
        **rest,
        "password": "old",
        "port": 1,
        "tags": {},
        "inner": {**inner, "tls": False},
        "inners": [{**each, "tls": True} for each in inners],
    }
    text = json.dumps(stored)
    container = SecretType(Login).read(text.encode() if is_binary else text)
    container.secret.password = password
    value = container.value()
    assert isinstance(value, bytes) is is_binary
    assert json.loads(value) == stored | {"password": password}


def test_a_key_that_the_type_knows_and_the_user_removes_is_gone() -> None:
    container = SecretType(Login).read('{"password": "p", "tags": {"a": "1", "b": "2"}, "other": 1}')
    del container.secret.tags["a"]
    assert json.loads(container.value())["tags"] == {"b": "2"}
    assert json.loads(container.value())["other"] == 1


def test_a_list_of_another_length_is_the_new_one() -> None:
    container = SecretType(Login).read('{"password": "p", "inners": [{"tls": true, "x": 1}]}')
    container.secret.inners.append(Inner(False))
    assert json.loads(container.value())["inners"] == [{"tls": True}, {"tls": False}]


@pytest.mark.parametrize(
    ("declared", "text", "field"),
    [(Struct, '{"passWord": "a", "x": 1}', "pass_word"), (Model, '{"PassWord": "a", "x": 1}', "password")],
    ids=["msgspec", "pydantic"],
)
def test_names_on_the_wire_are_written_as_they_are_read(declared: type, text: str, field: str) -> None:
    container = SecretType(declared).read(text)
    setattr(container.secret, field, "new")
    assert json.loads(container.value()) == json.loads(text.replace('"a"', '"new"'))


def test_a_type_that_would_lose_the_new_password_is_refused() -> None:
    container = SecretType(Crooked).read('{"read": "old"}')
    container.secret.password = "new"
    with pytest.raises(RotationError, match="aliases"):
        container.value()


@pytest.mark.parametrize(("declared", "value"), [(str, "just { text"), (bytes, b"\x00\xff")], ids=["str", "bytes"])
def test_a_secret_may_be_one_value(declared: type, value: Any) -> None:
    container = SecretType(declared).read(value)
    assert container.secret == container.value() == value
    container.secret = None
    with pytest.raises(RotationError):
        container.value()
    with pytest.raises(RotationError, match="declared"):
        SecretType(declared).read(b"x" if declared is str else "x")


@pytest.mark.parametrize("declared", [dict, object, Login])
def test_what_is_not_json_is_told_without_its_value(declared: Any) -> None:
    with pytest.raises(RotationError) as caught:
        SecretType(declared).read("hunter2-hunter2")
    assert str(caught.value) == "the secret is not JSON"


@pytest.mark.parametrize("declared", [Login, Model, Struct], ids=lambda cls: cls.__name__)
def test_a_secret_of_another_type_is_told_by_place(declared: type) -> None:
    with pytest.raises(RotationError) as caught:
        SecretType(declared).read('{"password": ["hunter2"], "PassWord": ["hunter2"], "passWord": ["hunter2"]}')
    assert "at `$." in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_copy_shares_nothing() -> None:
    current = SecretType(dict).read('{"a": {"b": [1]}}')
    new = current.copy()
    new.secret["a"]["b"].append(2)
    assert current.secret == {"a": {"b": [1]}}
    assert json.loads(new.value()) == {"a": {"b": [1, 2]}}


def test_nothing_is_in_a_repr() -> None:
    container = SecretType(Login).read('{"password": "hunter2"}')
    for text in (repr(container), str(container), f"{container}", "%s" % container):  # noqa: UP031
        assert "hunter2" not in text
    event = Event({"Step": "setSecret", "SecretId": "s", "ClientRequestToken": "v", "RotationToken": "hunter2"})
    assert "hunter2" not in repr(event)


def test_the_steps_are_those_of_the_service() -> None:
    assert [str(step) for step in Step] == ["createSecret", "setSecret", "testSecret", "finishSecret"]


def test_a_runner_reads_its_type_from_its_declaration() -> None:
    class Rotation(RotateRunner[None, Login]):
        pass

    container: SecretContainer[Login] = Rotation()._type.read('{"password": "p"}')
    assert container.secret == Login("p")
