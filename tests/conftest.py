"""Fixtures for all tests, and a watchdog: a test that hangs ends the run with the stacks of all threads."""

from __future__ import annotations

import faulthandler
from collections.abc import Iterator

import pytest
from support import PATIENCE


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    faulthandler.dump_traceback_later(5 * PATIENCE, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(params=["", "h11"], ids=["native", "h11"])
def http_mode(request: pytest.FixtureRequest) -> str:
    """Both HTTP engines: a value for FASTLAMBDA_HTTP, or for a Channel's second argument."""
    return str(request.param)
