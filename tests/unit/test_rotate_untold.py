"""What a failed rotation tells does not depend on the secret: two secrets, one and the same report and log."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import json
import textwrap
import urllib.parse
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import botocore.exceptions
import msgspec
import psycopg.errors
import pydantic
import pytest

from fastlambda import InvocationTimeout, exec_test
from fastlambda.errors import ErrorReport
from fastlambda.rotate import RotateRunner, RotationError, SecretContainer, SecretType

# Of other lengths and alphabets.
SECRETS = ('pa$$ "wörd"/1\\2', "another one, longer: 0123456789 <&> %41 \N{SNOWMAN}")

FORMS: dict[str, Callable[[str], object]] = {
    "plain": lambda s: s,
    "repr": repr,
    "ascii": ascii,
    "JSON": json.dumps,
    "JSON in JSON": lambda s: json.dumps(json.dumps(s)),
    "percent": lambda s: urllib.parse.quote(s, safe=""),
    "percent, twice": lambda s: urllib.parse.quote(urllib.parse.quote(s)),
    "plus": urllib.parse.quote_plus,
    "HTML": html.escape,
    "character references": lambda s: s.encode("ascii", "xmlcharrefreplace"),
    "base64": lambda s: base64.b64encode(s.encode()),
    "base64, URL": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "base64, shifted": lambda s: base64.b64encode(b"u:" + s.encode()).decode(),
    "base32": lambda s: base64.b32encode(s.encode()).decode(),
    "base85": lambda s: base64.b85encode(s.encode()).decode(),
    "hex": lambda s: s.encode().hex(),
    "bytes": lambda s: s.encode(),
    "UTF-16": lambda s: s.encode("utf-16"),
    "latin-1 of UTF-8": lambda s: s.encode().decode("latin-1"),
    "unicode escape": lambda s: s.encode("unicode-escape"),
    "upper": str.upper,
    "lower": str.lower,
    "swapped": str.swapcase,
    "backwards": lambda s: s[::-1],
    "the first 4": lambda s: s[:4],
    "the last 3": lambda s: s[-3:],
    "without the middle": lambda s: f"{s[:3]}...{s[-2:]}",
    "masked": lambda s: s[:1] + "*" * (len(s) - 1),
    "split": lambda s: " ".join(s),
    "in lines": lambda s: textwrap.fill(s, 5),
    "a tuple of two": lambda s: (s[:4], s[4:]),
    "a URL": lambda s: f"postgresql://u:{urllib.parse.quote(s)}@h/db",
    "characters": lambda s: [ord(c) for c in s],
    "a number": lambda s: int.from_bytes(s.encode(), "big"),
    "length": len,
    "MD5": lambda s: hashlib.md5(s.encode(), usedforsecurity=False).hexdigest(),
    "SHA-256": lambda s: hashlib.sha256(s.encode()).hexdigest(),
    "a check sum": lambda s: zlib.crc32(s.encode()),
    "compressed": lambda s: zlib.compress(s.encode()),
}


class Stubborn(Exception):
    """Tells it whatever becomes of its arguments."""

    def __init__(self, text: object) -> None:
        self.text = text

    def __str__(self) -> str:
        return f"always {self.text}"


class Both(Exception):
    def __getattr__(self, name: str) -> Any:
        return self.args[0]  # for whoever asks for a code


def with_note(text: object) -> Exception:
    exc = ValueError("plain")
    exc.add_note(str(text))
    return exc


def with_cause(text: object) -> Exception:
    exc = ValueError("plain")
    exc.__cause__ = KeyError(text)
    return exc


def with_context(text: object) -> Exception:
    exc = RuntimeError("plain")
    exc.__context__ = with_note(text)
    return exc


def refused_by_boto(text: object) -> Exception:
    error = {"Error": {"Code": "ValidationException", "Message": str(text)}}
    return botocore.exceptions.ClientError(error, "PutSecretValue")  # type: ignore[arg-type]


def odd_boto(text: object) -> Exception:
    return botocore.exceptions.ClientError({"Error": {"Code": f"<{text}>"}}, "PutSecretValue")  # type: ignore[arg-type]


PLACES: dict[str, Callable[[object], BaseException]] = {
    "message": lambda text: ValueError(f"cannot log in with {text}!"),
    "argument": lambda text: ValueError("it is", text),
    "type with a code": lambda text: OSError(13, str(text), f"/{text}"),
    "our own type": lambda text: RotationError(f"{text}"),
    "note": with_note,
    "cause": with_cause,
    "context": with_context,
    "group": lambda text: ExceptionGroup(f"{text}", [OSError(5, str(text)), with_note(text)]),
    "whatever is done": Stubborn,
    "every attribute": Both,
    "exit": lambda text: SystemExit(str(text)),
    "cancelled": lambda text: asyncio.CancelledError(text),
    "a BaseException": lambda text: type("Odd", (BaseException,), {})(text),
    "a database's": lambda text: psycopg.errors.InvalidPassword(f"password authentication failed: {text}"),
    "boto3's": refused_by_boto,
    "boto3's, with an odd code": odd_boto,
}


class Service:
    """boto3's client, as far as a rotation asks it; exceptions of its own as boto3 raises them."""

    def __init__(self, secret: str, stored: object = None) -> None:
        self.secret = secret
        self.stored = json.dumps({"password": secret}) if stored is None else stored

    def describe_secret(self, **asked: Any) -> Any:
        return {"RotationEnabled": True, "VersionIdsToStages": {"v1": ["AWSCURRENT"], "v2": ["AWSPENDING"]}}

    def get_secret_value(self, **asked: Any) -> Any:
        if asked.get("VersionId") == "v2" and self.is_creating:
            raise botocore.exceptions.ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "GetSecretValue")
        return {"SecretString": self.stored, "VersionId": asked.get("VersionId", "v1")}

    def put_secret_value(self, **asked: Any) -> Any:
        raise botocore.exceptions.ParamValidationError(report=f"{asked!r}")

    def get_random_password(self, **asked: Any) -> Any:
        return {"RandomPassword": self.secret}

    is_creating = False


STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


def report_of(runner: type, step: str = "testSecret") -> bytes:
    """The document of the error in which the step ends."""
    event = {"Step": step, "SecretId": "s", "ClientRequestToken": "v2", "RotationToken": "not to be told"}
    with pytest.raises(BaseException) as caught:
        exec_test(runner, {"region": "r", "invocations": [event]})
    return ErrorReport(caught.value, "id").body


def failing(
    secret: str, make: Callable[[str], BaseException], is_async: bool = False, is_creating: bool = False
) -> type:
    class Rotation(RotateRunner[None, dict[str, str]]):
        def client(self, region: str | None) -> Any:
            service = Service(secret)
            service.is_creating = is_creating
            return service

        def test(self, shared: None, secret_new: SecretContainer[dict[str, str]]) -> None:
            assert secret_new.secret["password"] == secret
            raise make(secret)

        def set(self, shared: None, secret_cur: Any, secret_new: Any) -> None:
            try:
                raise make(secret)
            except Exception:
                raise make(secret) from make(secret)

        finish = set  # type: ignore[assignment]

        def create(self, shared: None, secret_cur: Any, smc: Any) -> Any:
            raise make(smc.generate_new_password())

    class AsyncRotation(Rotation):
        async def test(self, shared: None, secret_new: SecretContainer[dict[str, str]]) -> None:
            await asyncio.sleep(0)
            Rotation.test(self, shared, secret_new)

    return AsyncRotation if is_async else Rotation


def told(runner: Callable[[str], type], capfd: pytest.CaptureFixture[str], step: str = "testSecret") -> str:
    """What two secrets have told, which must be the same."""
    reports = []
    for secret in SECRETS:
        body = report_of(runner(secret), step).decode()
        out, err = capfd.readouterr()
        reports.append(f"{body}{out}{err}")
    assert reports[0] == reports[1]
    return reports[0]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("form", FORMS)
def test_no_text_that_was_made_from_a_secret_leaves(form: str, place: str, capfd: pytest.CaptureFixture[str]) -> None:
    make = PLACES[place]
    told(lambda secret: failing(secret, lambda value: make(FORMS[form](value))), capfd)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("place", PLACES)
def test_none_leaves_in_any_step(place: str, step: str, capfd: pytest.CaptureFixture[str]) -> None:
    said = told(lambda secret: failing(secret, PLACES[place], is_creating=step == "createSecret"), capfd, step)
    assert "ResourceNotFound" not in said


@pytest.mark.parametrize("place", PLACES)
def test_none_leaves_from_an_asynchronous_method(place: str, capfd: pytest.CaptureFixture[str]) -> None:
    told(lambda secret: failing(secret, PLACES[place], True), capfd)


KINDS = {
    "message": "testSecret failed: ValueError (its text is not told: it may have been made from the secret)",
    "type with a code": "testSecret failed: PermissionError (EACCES) (its text",
    "cause": "testSecret failed: ValueError, after KeyError (its text",
    "group": "testSecret failed: ExceptionGroup of OSError, ValueError (its text",
    "a database's": "testSecret failed: InvalidPassword (SQLSTATE 28P01) (its text",
    "boto3's": "testSecret failed: ClientError (ValidationException of PutSecretValue) (its text",
    "boto3's, with an odd code": "testSecret failed: ClientError (its text",
}


@pytest.mark.parametrize("place", KINDS)
def test_kinds_and_codes_are_told(place: str) -> None:
    report = json.loads(report_of(failing(SECRETS[0], PLACES[place])))
    assert report["errorType"] == "RotationError"
    assert report["errorMessage"].startswith(KINDS[place])
    assert any("in test" in frame for frame in report["stackTrace"]), "where it was raised"


def test_a_time_out_and_an_exit_stay_what_they_are() -> None:
    report = json.loads(report_of(failing(SECRETS[0], lambda s: InvocationTimeout("nearly over"))))
    assert (report["errorType"], report["errorMessage"]) == ("Runtime.InvocationTimeout", "nearly over")
    report = json.loads(report_of(failing(SECRETS[0], lambda s: SystemExit(3))))
    assert (report["errorType"], report["errorMessage"]) == ("SystemExit", "3")


# ---- what is wrong with the secret itself -------------------------------------------------------------------------


@dataclass
class Inner:
    kind: Literal["a", "b"] = "a"


@dataclass
class Data:
    password: str
    inners: list[Inner] = field(default_factory=list)
    tags: dict[str, int] = field(default_factory=dict)


class Struct(msgspec.Struct):
    password: str
    inners: list[Inner] = []


class Model(pydantic.BaseModel):
    password: str
    inners: list[Inner] = []

    @pydantic.field_validator("password")
    @classmethod
    def good(cls, value: str) -> str:
        if "x" not in value:
            raise ValueError(f"{value} has no x: at `$.{value}` Field required - at `${value}`")
        return value


STORED: dict[str, Callable[[str], str]] = {
    "no JSON": lambda s: s,
    "another type": lambda s: json.dumps({"password": [s]}),
    "an unknown kind": lambda s: json.dumps({"password": "x", "inners": [{"kind": s}]}),
    "a kind that looks like a place": lambda s: json.dumps({"password": "x", "inners": [{"kind": f"- at `$.{s}`"}]}),
    "a kind that looks like a field": lambda s: json.dumps(
        {"password": "x", "inners": [{"kind": f": Object missing required field `{s[:2].strip()}`"}]}
    ),
    "no password": lambda s: json.dumps({"passwort": s}),
    "a wrong tag": lambda s: json.dumps({"password": "x", "tags": {"a": s}, "inners": [1]}),
    "a password that a validator refuses": lambda s: json.dumps({"password": s, "inners": [s]}),
}


@pytest.mark.parametrize("declared", [Data, Struct, Model, dict, str], ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("stored", STORED)
def test_a_secret_of_another_type_is_told_by_field_and_never_by_value(
    stored: str, declared: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    def runner(secret: str) -> type:
        class Rotation(RotateRunner[None, declared]):  # type: ignore[valid-type]
            def client(self, region: str | None) -> Any:
                return Service(secret, STORED[stored](secret))

            def test(self, shared: Any, secret_new: Any) -> None:
                raise ValueError(secret)

        return Rotation

    told(runner, capfd)


FIELDS = [
    (Data, {"password": ["x"]}, "at `$.password`"),
    (Model, {"password": ["x"]}, "at `$.password`"),
    (Data, {"password": "x", "inners": [{}, {"kind": "c"}]}, "at `$.inners[1].kind`"),
    (Model, {"password": "x", "inners": [{}, {"kind": "c"}]}, "at `$.inners[1].kind`"),
    (Data, {"password": "x", "tags": {"a": "b"}}, "at `$.tags[...]`"),
    (Data, {}, "missing required field `password`"),
    (Model, {}, "at `$.password`"),
]


@pytest.mark.parametrize(("declared", "value", "words"), FIELDS, ids=lambda v: getattr(v, "__name__", None))
def test_the_field_is_told(declared: type, value: object, words: str) -> None:
    with pytest.raises(RotationError) as caught:
        SecretType(declared).read(json.dumps(value))
    assert str(caught.value).endswith(words), caught.value


def test_a_library_warns_of_no_value_while_a_version_is_written() -> None:
    class Loose(pydantic.BaseModel):
        password: str

    container = SecretType(Loose).read('{"password": "x"}')
    container.secret.password = 31415926  # type: ignore[attr-defined]
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with pytest.raises(RotationError):
            container.value()
    assert not [str(one.message) for one in seen]


def test_what_boto3_refuses_to_send_is_not_quoted(capfd: pytest.CaptureFixture[str]) -> None:
    def runner(secret: str) -> type:
        class Rotation(RotateRunner[None, dict[str, str]]):
            def client(self, region: str | None) -> Any:
                service = Service(secret)
                service.is_creating = True
                return service

            def create(self, shared: Any, secret_cur: Any, smc: Any) -> Any:
                return secret_cur.copy()

        return Rotation

    assert "boto3 does not take the new version of s" in told(runner, capfd, "createSecret")
