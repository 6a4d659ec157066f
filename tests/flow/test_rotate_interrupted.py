"""A rotation that is interrupted while it handles an error of the secret's: nothing of that error is told."""

from __future__ import annotations

import json

import pytest

from fastlambda.local.process import Function

APP = """
import asyncio
import time

from fastlambda.rotate import RotateRunner

SECRET = "S3CR3T-TEXT"


class Service:
    def describe_secret(self, **_):
        return {"RotationEnabled": True, "VersionIdsToStages": {"tok": ["AWSPENDING"], "old": ["AWSCURRENT"]}}

    def get_secret_value(self, **asked):
        return {"SecretString": SECRET, "VersionId": asked.get("VersionId", "old"), "ARN": "a"}


class Base(RotateRunner[None, str]):
    def client(self, region):
        return Service()

    def create(self, shared, current, smc):
        return current.copy()

    def set(self, shared, current, new):
        pass


class RaisesAnother(Base):
    def test(self, shared, new):
        try:
            raise ConnectionError(f"login failed: {new.secret}")
        except ConnectionError:
            try:
                time.sleep(60)
            except BaseException as exc:
                raise RuntimeError("gave up") from exc


class FailsInFinally(Base):
    def test(self, shared, new):
        try:
            raise ConnectionError(f"login failed: {new.secret}")
        except ConnectionError:
            try:
                time.sleep(60)
            finally:
                raise ValueError("clean-up")


class Swallows(Base):
    def test(self, shared, new):
        try:
            raise ConnectionError(f"login failed: {new.secret}")
        except ConnectionError:
            try:
                time.sleep(60)
            except BaseException:
                return None


class Async(Base):
    async def test(self, shared, new):
        try:
            raise ConnectionError(f"login failed: {new.secret}")
        except ConnectionError:
            try:
                await asyncio.sleep(60)
            except BaseException as exc:
                raise RuntimeError("gave up") from exc
"""


@pytest.mark.parametrize("name", ["RaisesAnother", "FailsInFinally", "Swallows", "Async"])
def test_the_error_that_was_being_handled_is_not_told(name: str, tmp_path) -> None:
    (tmp_path / "app.py").write_text(APP)
    function = Function(f"app:{name}", timeout_s=2, cwd=tmp_path)
    try:
        event = {"Step": "testSecret", "SecretId": "a", "ClientRequestToken": "tok"}
        result = function.invoke(json.dumps(event).encode()).result
    finally:
        function.stop()
    assert not result.ok and result.error["errorType"] == "Runtime.InvocationTimeout", result
    assert "S3CR3T" not in json.dumps(result.error)
    assert b"S3CR3T" not in bytes(function.logs)
