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
        ("identity", ctypes.c_uint64),
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
    for name in ("net_send_now", "net_send_all", "net_send_watching"):
        getattr(shim, name).argtypes = [ctypes.c_int, ctypes.POINTER(Out)]
    shim.net_identify.restype = ctypes.c_uint64
    shim.net_is_ours.argtypes = shim.net_hang_up.argtypes = [ctypes.c_int, ctypes.c_uint64]
    shim.net_is_ours.restype = ctypes.c_bool
    shim.net_recv_some.argtypes = [
        ctypes.c_int, ctypes.c_uint64, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t
    ]  # fmt: skip
    shim.net_recv_some.restype = ctypes.c_ssize_t
    shim.net_connect.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_uint64)]
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
        identity = ctypes.c_uint64()
        fd = native.net_connect(host.encode(), str(port).encode(), identity)
        assert fd >= 0
        assert native.net_is_ours(fd, identity)
        with socket.socket(fileno=fd) as ours:
            assert fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
            assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
            assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert native.net_send_now(fd, out_of(native, *PIECES)) == TAKEN
            assert not fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK


# ---- whose descriptor it is ---------------------------------------------------------------------------------------

NOT_OURS = -10007
CLOSED = -10004


class Foreign:
    """A number that was a connection's and now stands for another file, of one kind."""

    def __init__(self, kind: str, fd: int, folder: Path) -> None:
        self.held: list[socket.socket] = []
        self.fd, self.kind, self.path = fd, kind, folder / "file"
        if kind == "nothing":
            os.close(fd)
            return
        if kind == "file":
            number = os.open(self.path, os.O_RDWR | os.O_CREAT)
        elif kind == "pipe":
            self.read_end, number = os.pipe()
        elif kind == "unix":
            ours, theirs = socket.socketpair()
            self.held, number = [theirs], ours.detach()
        elif kind == "udp":
            theirs = socket.socket(type=socket.SOCK_DGRAM)
            theirs.bind(("127.0.0.1", 0))
            ours = socket.socket(type=socket.SOCK_DGRAM)
            ours.connect(theirs.getsockname())
            self.held, number = [theirs], ours.detach()
        else:
            with socket.create_server(("127.0.0.1", 0)) as server:
                ours = socket.create_connection(server.getsockname())
                theirs, _ = server.accept()
                theirs.send(b"an event of a foreigner")
            self.held, number = [theirs], ours.detach()
        os.dup2(number, fd)
        os.close(number)

    def received(self) -> bytes:
        """What was written to it."""
        if self.kind == "file":
            return self.path.read_bytes()
        if self.kind == "pipe":
            os.set_blocking(self.read_end, False)
            try:
                return os.read(self.read_end, 65536)
            except BlockingIOError:
                return b""
        for theirs in self.held:
            theirs.setblocking(False)
            try:
                return theirs.recv(65536)
            except BlockingIOError:
                return b""
        return b""

    def close(self) -> None:
        for theirs in self.held:
            theirs.close()
        if self.kind == "pipe":
            os.close(self.read_end)


@pytest.fixture(params=["tcp", "udp", "unix", "file", "pipe", "nothing"])
def stolen(
    request: pytest.FixtureRequest, native: ctypes.CDLL, tmp_path: Path
) -> Iterator[tuple[int, int, Foreign, socket.socket]]:
    """Number and identity of a connection, the foreigner that has its number, and the far end of the connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        identity = ctypes.c_uint64()
        fd = native.net_connect(host.encode(), str(port).encode(), identity)
        theirs, _ = server.accept()
    foreign = Foreign(request.param, fd, tmp_path)
    with theirs:
        yield fd, identity.value, foreign, theirs
    foreign.close()
    if foreign.kind != "nothing":
        os.close(fd)


@pytest.mark.parametrize("how", ["net_send_now", "net_send_all", "net_send_watching"])
def test_nothing_is_written_to_a_number_that_another_file_has(
    how: str, native: ctypes.CDLL, stolen: tuple[int, int, Foreign, socket.socket]
) -> None:
    fd, identity, foreign, _ = stolen
    out = out_of(native, *PIECES)
    out.identity = identity
    assert getattr(native, how)(fd, out) == NOT_OURS
    assert out.sent == 0
    assert foreign.received() == b""


def test_nothing_is_taken_from_a_number_that_another_file_has(
    native: ctypes.CDLL, stolen: tuple[int, int, Foreign, socket.socket]
) -> None:
    fd, identity, foreign, _ = stolen
    into = ctypes.create_string_buffer(100)
    for held in foreign.held:
        if foreign.kind == "unix":
            held.send(b"an event of a foreigner")
        if foreign.kind == "udp":
            with socket.socket(fileno=os.dup(fd)) as ours:
                held.sendto(b"an event of a foreigner", ours.getsockname())
    assert native.net_recv_some(fd, identity, into, 100, None, 0) == NOT_OURS


def test_another_files_number_is_not_closed(
    native: ctypes.CDLL, stolen: tuple[int, int, Foreign, socket.socket]
) -> None:
    fd, identity, foreign, _ = stolen
    assert not native.net_is_ours(fd, identity)
    native.net_hang_up(fd, identity)
    if foreign.kind != "nothing":
        os.fstat(fd)


def test_a_connection_is_told_from_another_one_to_the_same_server(native: ctypes.CDLL) -> None:
    """The number is compared by the kernel's cookie, not by the peer's address."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        first, second = ctypes.c_uint64(), ctypes.c_uint64()
        fd = native.net_connect(host.encode(), str(port).encode(), first)
        other = native.net_connect(host.encode(), str(port).encode(), second)
        os.dup2(other, fd)
        assert not native.net_is_ours(fd, first)
        assert native.net_is_ours(fd, second), "the number of the second connection now"
        os.close(other)
        native.net_hang_up(fd, first)
        native.net_hang_up(fd, second)
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


def test_a_connection_of_ours_sends_receives_and_ends_as_ever(native: ctypes.CDLL) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        identity = ctypes.c_uint64()
        fd = native.net_connect(host.encode(), str(port).encode(), identity)
        theirs, _ = server.accept()
    into, spill = ctypes.create_string_buffer(4), ctypes.create_string_buffer(4)
    with theirs:
        out = out_of(native, *PIECES)
        out.identity = identity
        assert native.net_send_now(fd, out) == TAKEN
        assert received(theirs, out.sent) == b"".join(PIECES)
        assert native.net_recv_some(fd, identity, into, 4, None, 0) == MORE, "after the look-up time"
        theirs.sendall(b"answered")
        assert native.net_recv_some(fd, identity, into, 4, spill, 4) == 8
        assert (into.raw, spill.raw) == (b"answ", b"ered")
    assert native.net_recv_some(fd, identity, into, 4, None, 0) == CLOSED
    native.net_hang_up(fd, identity)
