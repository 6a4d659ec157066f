"""The native sends alone: what the kernel takes at once, what is left, and what ends them."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import PATIENCE, ROOT

TAKEN = 0
MORE = -errno.EAGAIN


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Out(ctypes.Structure):
    """A struct net_out."""

    _fields_ = [
        ("pieces", Piece * 4),
        ("n", ctypes.c_int),
        ("at", ctypes.c_int),
        ("sent", ctypes.c_size_t),
        ("give_up_ns", ctypes.c_uint64),
    ]


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("net") / "net.so"
    source = Path(__file__).with_name("net_shim.c")
    subprocess.run(
        ["gcc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror",
         f"-I{ROOT / 'src/fastlambda/_native'}", str(source), "-o", str(path)],
        check=True,
    )  # fmt: skip
    shim = ctypes.CDLL(str(path))
    shim.net_out_add.argtypes = [ctypes.POINTER(Out), ctypes.c_char_p, ctypes.c_size_t]
    shim.net_out_add.restype = None
    shim.net_send_now.argtypes = shim.net_send_all.argtypes = [ctypes.c_int, ctypes.POINTER(Out)]
    shim.shim_n_calls.restype = shim.shim_out_size.restype = ctypes.c_size_t
    assert shim.shim_out_size() == ctypes.sizeof(Out)
    return shim


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a stream: ours with a small send buffer, blocking as the Runtime API's connection is."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ours, theirs:
        yield ours, theirs


def out_of(native: ctypes.CDLL, *pieces: bytes) -> Out:
    """A write of these pieces, which must outlive it."""
    out = Out()
    for piece in pieces:
        native.net_out_add(out, piece, len(piece))
    return out


def received(theirs: socket.socket, n: int) -> bytes:
    data = b""
    while len(data) < n:
        data += theirs.recv(n - len(data))
    return data


PIECES = (b"head ", b"b" * 1000, b" tail")


def test_all_pieces_leave_in_one_call_when_there_is_room(
    native: ctypes.CDLL, pair: tuple[socket.socket, socket.socket]
) -> None:
    out = out_of(native, *PIECES)
    before = native.shim_n_calls()
    assert native.net_send_now(pair[0].fileno(), out) == TAKEN
    assert native.shim_n_calls() - before == 1
    assert (out.at, out.n, out.sent) == (3, 3, sum(map(len, PIECES)))
    assert received(pair[1], out.sent) == b"".join(PIECES)


def test_nothing_to_send_is_no_system_call(native: ctypes.CDLL, pair: tuple[socket.socket, socket.socket]) -> None:
    before = native.shim_n_calls()
    assert native.net_send_now(pair[0].fileno(), out_of(native, b"", b"")) == TAKEN
    assert native.shim_n_calls() == before


def test_a_full_send_buffer_takes_a_part_and_the_rest_follows_without_a_byte_twice(
    native: ctypes.CDLL, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    pieces = (b"head", os.urandom(300_000), b"", os.urandom(70_000), b"tail")
    out = out_of(native, *pieces)
    status, got, n_full = native.net_send_now(ours.fileno(), out), b"", 0
    assert status == MORE
    assert 0 < out.sent < 300_004, "the first call did not stop at a full buffer"
    while status:
        assert status == MORE
        before = out.sent
        assert native.net_send_now(ours.fileno(), out) == MORE, "there was room without a read"
        assert out.sent == before
        n_full += 1
        got += received(theirs, out.sent - len(got))  # everything that is in the buffers
        status = native.net_send_now(ours.fileno(), out)
    got += received(theirs, out.sent - len(got))
    assert got == b"".join(pieces)
    assert n_full > 1
    assert out.sent == len(got)


def test_a_full_send_buffer_is_told_and_not_waited_for(
    native: ctypes.CDLL, pair: tuple[socket.socket, socket.socket]
) -> None:
    """The descriptor blocks, and nobody reads: only a flag of the call itself keeps it from waiting."""
    ours, _ = pair
    assert ours.getblocking()
    before = fcntl.fcntl(ours.fileno(), fcntl.F_GETFL), fcntl.fcntl(ours.fileno(), fcntl.F_GETFD)
    body = b"x" * 1_000_000
    out = out_of(native, body)
    for _ in range(3):
        assert native.net_send_now(ours.fileno(), out) == MORE
    assert native.shim_flags_seen() & socket.MSG_DONTWAIT
    assert (fcntl.fcntl(ours.fileno(), fcntl.F_GETFL), fcntl.fcntl(ours.fileno(), fcntl.F_GETFD)) == before


@pytest.mark.parametrize(
    "number", [errno.EINTR, errno.EAGAIN, errno.ECONNRESET, errno.ENOBUFS], ids=errno.errorcode.get
)
def test_what_interrupts_a_send_is_told_and_loses_nothing(
    number: int, native: ctypes.CDLL, pair: tuple[socket.socket, socket.socket]
) -> None:
    out = out_of(native, *PIECES)
    native.shim_fail_once(number)
    before = native.shim_n_calls()
    assert native.net_send_now(pair[0].fileno(), out) == -number
    assert native.shim_n_calls() - before == 1, "repeated, though only the caller knows whether a handler runs first"
    assert (out.at, out.sent) == (0, 0)
    assert native.net_send_now(pair[0].fileno(), out) == TAKEN
    assert received(pair[1], out.sent) == b"".join(PIECES)


def test_a_part_that_was_taken_counts_when_the_peer_closes_before_the_rest(
    native: ctypes.CDLL, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    body = b"x" * 1_000_000
    out = out_of(native, body)
    assert native.net_send_now(ours.fileno(), out) == MORE
    taken = out.sent
    theirs.close()
    assert native.net_send_now(ours.fileno(), out) == -errno.EPIPE
    assert out.sent == taken > 0


def test_a_closed_peer_is_a_status_and_never_a_signal(native: ctypes.CDLL) -> None:
    """Over TCP, as the Runtime API is: its reset is told first, then the broken pipe; SIGPIPE would end the process."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    caught = []
    previous = signal.signal(signal.SIGPIPE, lambda number, _: caught.append(number))
    try:
        with ours:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            theirs.close()
            arrived = select.poll()
            arrived.register(ours, select.POLLIN)
            assert arrived.poll(PATIENCE * 1000)
            seen = [native.net_send_now(ours.fileno(), out_of(native, *PIECES)) for _ in range(2)]
    finally:
        signal.signal(signal.SIGPIPE, previous)
    assert seen == [-errno.ECONNRESET, -errno.EPIPE]
    assert not caught
    assert native.shim_flags_seen() & socket.MSG_NOSIGNAL


def test_a_descriptor_that_is_none_is_a_status(native: ctypes.CDLL) -> None:
    assert native.net_send_now(-1, out_of(native, *PIECES)) == -errno.EBADF


def test_a_connection_blocks_closes_on_exec_and_sends_without_delay(native: ctypes.CDLL) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        fd = native.net_connect(host.encode(), str(port).encode())
        assert fd >= 0
        with socket.socket(fileno=fd) as ours:
            assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
            assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert native.net_send_now(fd, out_of(native, *PIECES)) == TAKEN
            assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
