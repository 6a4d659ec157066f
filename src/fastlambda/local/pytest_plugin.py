"""Fixtures for pytest: a Runtime API endpoint, and functions in processes of their own.

Loaded by every run of pytest where fastlambda is installed, so it imports nothing until a fixture is used.
"""

from collections.abc import Iterator

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastlambda.local.endpoint import RuntimeApi
    from fastlambda.local.testing import Functions


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
