"""What happens when a signal ends the command: what was begun is cleared away first.

Owns the handlers of the signals that end a process, and the folder that is worked in.
"""

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

# What ends a program that does not mind them; the interpreter minds SIGINT by itself.
ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def minded() -> Iterator[None]:
    """While it lasts, those signals raise SystemExit with the status of a shell: 128 and the signal's number."""
    before = {each: signal.signal(each, _end) for each in ENDING if signal.getsignal(each) is not signal.SIG_IGN}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _end(signum: int, _: FrameType | None) -> None:
    for each in ENDING:
        signal.signal(each, signal.SIG_IGN)  # one is enough: what is there is being cleared away
    raise SystemExit(128 + signum)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """While it lasts, no signal ends anything: for the moments between making something and minding it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*ENDING, signal.SIGINT))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def workshop() -> Iterator[Path]:
    """A folder that is gone afterwards, however this ends, SIGKILL aside."""
    with contextlib.ExitStack() as stack:
        with undisturbed():
            folder = tempfile.mkdtemp(prefix="fastlambda-")
            stack.callback(_remove, folder)
        yield Path(folder)


def _remove(folder: str) -> None:
    with undisturbed():
        shutil.rmtree(folder, ignore_errors=True)
