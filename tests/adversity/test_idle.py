"""A process that waits for an event for long: any signal ends the wait, and nothing of the wait is left over."""

from __future__ import annotations

import os
import platform
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from support import PATIENCE, Peer, ScriptedServer, event_answer

from fastlambda._core import Channel

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n"
# poll(2) as proc_pid_syscall(5) shows it: the call's number, and where its time limit is "none".
POLL, NO_LIMIT = {"x86_64": (7, 0xFFFFFFFF), "aarch64": (73, 0)}[platform.machine()]


class Sleeper:
    """A thread of this process, watched by what the kernel says of it; opened before no descriptor is left."""

    def __init__(self, thread_id: int) -> None:
        self.fd = os.open(f"/proc/self/task/{thread_id}/syscall", os.O_RDONLY)

    def wait(self, has_limit: bool) -> None:
        """Until it sleeps in poll(2) on two descriptors, with a time limit or without."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            fields = os.pread(self.fd, 200, 0).split()
            if fields[0] == b"%d" % POLL and int(fields[2], 16) == 2:
                assert (int(fields[3], 16) & 0xFFFFFFFF != NO_LIMIT) == has_limit
                return
            time.sleep(0.001)
        raise AssertionError("it never slept for long")


@contextmanager
def sleeper() -> Iterator[Sleeper]:
    made = Sleeper(threading.get_native_id())
    try:
        yield made
    finally:
        os.close(made.fd)


def answer_when(ready: Callable[[], None]) -> Callable[[socket.socket], None]:
    """A server that hands out an event when `ready` has returned."""

    def script(connection: socket.socket) -> None:
        peer = Peer(connection)
        peer.expect(NEXT)
        ready()
        peer.send(event_answer(b"1", "a"))
        connection.recv(1)

    return script


def pipes() -> set[str]:
    """This process's, by descriptor and number."""
    found = set()
    for n in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the listing's own
            found.add(f"{n} {os.readlink(f'/proc/self/fd/{n}')}")
    return {link for link in found if "pipe:" in link}


class Woken(Exception):
    """A signal's handler ran."""


def wake(number: int, frame: object) -> None:
    raise Woken


@pytest.fixture
def _waking_signal() -> Iterator[None]:
    previous = signal.signal(signal.SIGUSR1, wake)
    yield
    signal.signal(signal.SIGUSR1, previous)


@pytest.mark.usefixtures("_waking_signal")
def test_a_signal_that_interrupts_no_system_call_ends_the_longest_wait(http_mode: str) -> None:
    """It is delivered to another thread: as one that comes just before poll(2) sleeps, it interrupts nothing."""

    def script(connection: socket.socket) -> None:
        Peer(connection).expect(NEXT)
        slept.wait(has_limit=False)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        assert connection.recv(1) == b"", "it waits on"

    with sleeper() as slept, ScriptedServer(script) as server:
        channel = Channel(server.address, http_mode)
        before = pipes()
        with pytest.raises(Woken):
            channel.next()
        assert pipes() == before
        assert signal.set_wakeup_fd(-1) == -1


def test_a_long_wait_ends_with_the_event_and_leaves_nothing(http_mode: str) -> None:
    with sleeper() as slept, ScriptedServer(answer_when(lambda: slept.wait(has_limit=False))) as server:
        channel = Channel(server.address, http_mode)
        before = pipes()
        assert channel.next().request_id == "a"
        assert pipes() == before
        assert signal.set_wakeup_fd(-1) == -1
        channel.close()


def test_a_pipe_of_the_functions_own_is_left_alone(http_mode: str) -> None:
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    previous = signal.signal(signal.SIGUSR1, lambda number, frame: None)
    assert signal.set_wakeup_fd(write_end) == -1

    def ready() -> None:
        slept.wait(has_limit=True)
        signal.raise_signal(signal.SIGUSR1)
        assert os.read(read_end, 10) == bytes([signal.SIGUSR1])

    try:
        with sleeper() as slept, ScriptedServer(answer_when(ready)) as server:
            channel = Channel(server.address, http_mode)
            assert channel.next().request_id == "a"
            channel.close()
    finally:
        assert signal.set_wakeup_fd(-1) == write_end
        signal.signal(signal.SIGUSR1, previous)
        os.close(read_end)
        os.close(write_end)


def test_without_a_descriptor_to_be_had_the_wait_goes_on(http_mode: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    is_asked = threading.Event()

    def give_back() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        while taken:
            os.close(taken.pop())

    def ready() -> None:
        is_asked.set()
        slept.wait(has_limit=True)
        give_back()

    with sleeper() as slept, ScriptedServer(answer_when(ready)) as server:
        channel = Channel(server.address, http_mode)
        channel.start_next()
        assert is_asked.wait(PATIENCE)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
            with suppress(OSError):
                while True:
                    taken.append(os.dup(slept.fd))
            assert taken
            assert channel.next().request_id == "a"
        finally:
            give_back()
        channel.close()


def test_in_another_thread_the_wait_goes_on(http_mode: str) -> None:
    found = []
    sleeping: list[Sleeper] = []

    def poll() -> None:
        with sleeper() as slept:
            sleeping.append(slept)
            channel = Channel(server.address, http_mode)
            found.append(channel.next().request_id)
            channel.close()

    with ScriptedServer(answer_when(lambda: sleeping[0].wait(has_limit=True))) as server:
        thread = threading.Thread(target=poll)
        thread.start()
        thread.join(PATIENCE)
    assert found == ["a"]
