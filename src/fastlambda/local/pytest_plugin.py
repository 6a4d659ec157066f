"""Fixtures for pytest: a Runtime API endpoint, and functions in processes of their own or in the test's.

Loaded by every run of pytest where fastlambda is installed, so it imports nothing until a fixture is used.
"""

from collections.abc import Iterator

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fastlambda.local.endpoint import RuntimeApi
    from fastlambda.local.testing import Functions
    from fastlambda.testing import LocalFunction


@pytest.fixture
def lambda_endpoint() -> "Iterator[RuntimeApi]":
    """A Runtime API endpoint (fastlambda.local.endpoint.RuntimeApi) that lives as long as the test."""
    from fastlambda.local.endpoint import RuntimeApi

    with RuntimeApi() as api:
        yield api


@pytest.fixture
def lambda_function(pytestconfig: pytest.Config) -> "Iterator[Functions]":
    """Starts functions: `lambda_function("app.handler").invoke({"key": 1})`.  They end with the test.

    See fastlambda.local.testing.Functions for its arguments.  What the functions log is shown when the test fails.
    """
    from fastlambda.local.testing import Functions

    functions = Functions(pytestconfig.rootpath)
    try:
        yield functions
    finally:
        functions.stop()


@pytest.fixture
def lambda_local(pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch) -> "Iterator[LocalFunctions]":
    """Functions in the test's own process: `lambda_local("app.handler").invoke({"key": 1})`.

    Coverage, breakpoint(), monkeypatch and moto see them.  See fastlambda.testing.LocalFunction for the arguments.
    """
    monkeypatch.syspath_prepend(str(pytestconfig.rootpath))
    functions = LocalFunctions()
    try:
        yield functions
    finally:
        functions.close()


class LocalFunctions:
    """What the fixture gives: makes functions, and ends them with the test."""

    def __init__(self) -> None:
        from contextlib import ExitStack

        self._open: ExitStack = ExitStack()

    def __call__(self, target: "Any", **arguments: "Any") -> "LocalFunction":
        from fastlambda.testing import LocalFunction

        return self._open.enter_context(LocalFunction(target, **arguments))

    def close(self) -> None:
        self._open.close()
