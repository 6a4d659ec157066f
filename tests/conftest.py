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
