# ruff: noqa: E501  (tables of bytes)
"""The native scanner alone: tables of bytes and outcomes, each whole, byte by byte, and with bytes behind it."""

from __future__ import annotations

import ctypes
import mmap
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import ROOT

INCOMPLETE, DECLINED = -10001, -10002
MAX_HEADERS = 64


class Span(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_void_p), ("len", ctypes.c_size_t)]

    def text(self) -> bytes:
        return ctypes.string_at(self.ptr, self.len) if self.len else b""


class Header(ctypes.Structure):
    _fields_ = [("name", Span), ("value", Span)]


class Head(ctypes.Structure):
    _fields_ = [
        ("http_status", ctypes.c_int),
        ("is_chunked", ctypes.c_int),
        ("is_close", ctypes.c_int),
        ("content_len", ctypes.c_uint64),
        ("n_headers", ctypes.c_size_t),
        ("headers", Header * MAX_HEADERS),
    ]

    def fields(self) -> tuple[int, int, int, int, list[tuple[bytes, bytes]]]:
        headers = [(h.name.text(), h.value.text()) for h in self.headers[: self.n_headers]]
        return self.http_status, self.is_chunked, self.is_close, self.content_len, headers


class Chunks(ctypes.Structure):
    _fields_ = [("state", ctypes.c_int), ("left", ctypes.c_uint64), ("total", ctypes.c_uint64)]


LINE, DATA, END, LAST, DONE = range(5)


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("scanner_shim.c")
    rooms = ROOT / "src/fastlambda/_native"
    subprocess.run(
        ["gcc", "-std=gnu11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{rooms}", str(source),
         str(rooms / "buffer.c"), "-o", str(path)],
        check=True,
    )  # fmt: skip
    shim = ctypes.CDLL(str(path))
    shim.http1_scan_head.restype = shim.http1_scan_chunks.restype = ctypes.c_ssize_t
    shim.http1_scan_head.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.POINTER(Head)]
    shim.http1_scan_chunks.argtypes = [
        ctypes.POINTER(Chunks), ctypes.c_void_p, ctypes.c_size_t, ctypes.POINTER(Span)
    ]  # fmt: skip
    shim.shim_looked_at.restype = shim.shim_head_size.restype = ctypes.c_size_t
    shim.rapi_deadline_ms.restype = ctypes.c_int64
    shim.rapi_deadline_ms.argtypes = shim.rapi_is_header_safe.argtypes = [Span]
    assert shim.shim_head_size() == ctypes.sizeof(Head)
    return shim


class GuardPage:
    """Memory that ends at a page nobody may read: one byte too far ends the process."""

    def __init__(self, room: int) -> None:
        self._room = -(-room // mmap.PAGESIZE) * mmap.PAGESIZE
        self._map = mmap.mmap(-1, self._room + mmap.PAGESIZE)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        assert libc.mprotect(self._start + self._room, mmap.PAGESIZE, 0) == 0

    def put(self, data: bytes) -> int:
        """The address of `data`, whose end is the page's."""
        at = self._start + self._room - len(data)
        ctypes.memmove(at, data, len(data))
        return at


@pytest.fixture(scope="module")
def page() -> GuardPage:
    return GuardPage(256 * 1024)


def H(lines: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return first + b"\r\n" + lines + b"\r\n"


LENGTH = b"Content-Length: 5\r\n"
# Name, head, and what is read: (status, chunked, close, length, headers), or DECLINED, or INCOMPLETE.
HEADS: list[tuple[str, bytes, object]] = [
    ("length", H(LENGTH), (200, 0, 0, 5, [(b"Content-Length", b"5")])),
    ("chunked", H(b"Transfer-Encoding: chunked\r\n"), (200, 1, 0, 0, [(b"Transfer-Encoding", b"chunked")])),
    ("case of names and codings", H(b"TRANSFER-encoding: Chunked\r\n"), (200, 1, 0, 0, [(b"TRANSFER-encoding", b"Chunked")])),
    ("close", H(LENGTH + b"Connection: Close\r\n"), (200, 0, 1, 5, [(b"Content-Length", b"5"), (b"Connection", b"Close")])),
    ("keep-alive", H(b"Connection: keep-alive\r\n" + LENGTH), (200, 0, 0, 5, [(b"Connection", b"keep-alive"), (b"Content-Length", b"5")])),
    ("empty reason", H(LENGTH, b"HTTP/1.1 202 "), (202, 0, 0, 5, [(b"Content-Length", b"5")])),
    ("blanks around a value", H(b"A: \t b c\t \r\n" + LENGTH), (200, 0, 0, 5, [(b"A", b"b c"), (b"Content-Length", b"5")])),
    ("empty value", H(b"A:\r\n" + LENGTH), (200, 0, 0, 5, [(b"A", b""), (b"Content-Length", b"5")])),
    ("obs-text", H(b"A: \xe9\xff\r\n" + LENGTH), (200, 0, 0, 5, [(b"A", b"\xe9\xff"), (b"Content-Length", b"5")])),
    ("leading zeros", H(b"Content-Length: 0000000000005\r\n"), (200, 0, 0, 5, [(b"Content-Length", b"0000000000005")])),
    ("status 599", H(LENGTH, b"HTTP/1.1 599 X"), (599, 0, 0, 5, [(b"Content-Length", b"5")])),
    ("64 headers", H(b"A: b\r\n" * 63 + LENGTH), (200, 0, 0, 5, [(b"A", b"b")] * 63 + [(b"Content-Length", b"5")])),
    ("65 headers", H(b"A: b\r\n" * 64 + LENGTH), DECLINED),
    ("nothing", b"", INCOMPLETE),
    ("a beginning", b"HTTP/1.1 20", INCOMPLETE),
    ("no blank line yet", H(LENGTH)[:-2], INCOMPLETE),
    ("half a blank line", H(LENGTH)[:-1], INCOMPLETE),
    ("garbage", b"\x16\x03\x01", DECLINED),
    ("HTTP/1.0", H(LENGTH, b"HTTP/1.0 200 OK"), DECLINED),
    ("1xx", H(b"", b"HTTP/1.1 100 Continue"), DECLINED),
    ("204", H(LENGTH, b"HTTP/1.1 204 No Content"), DECLINED),
    ("205", H(LENGTH, b"HTTP/1.1 205 Reset"), DECLINED),
    ("304", H(LENGTH, b"HTTP/1.1 304 Not Modified"), DECLINED),
    ("600", H(LENGTH, b"HTTP/1.1 600 X"), DECLINED),
    ("no blank before the reason", H(LENGTH, b"HTTP/1.1 200"), DECLINED),
    ("two digits of status", H(LENGTH, b"HTTP/1.1 20 OK"), DECLINED),
    ("NUL in the reason", H(LENGTH, b"HTTP/1.1 200 O\0K"), DECLINED),
    ("bare line feed", H(LENGTH).replace(b"\r\n", b"\n"), DECLINED),
    ("one bare line feed", H(b"A: b\n" + LENGTH), DECLINED),
    ("bare carriage return", H(b"A: b\rc\r\n" + LENGTH), DECLINED),
    ("fold", H(b"A: b\r\n c\r\n" + LENGTH), DECLINED),
    ("NUL in a value", H(b"A: b\0\r\n" + LENGTH), DECLINED),
    ("DEL in a value", H(b"A: b\x7f\r\n" + LENGTH), DECLINED),
    ("blank before a colon", H(b"A : b\r\n" + LENGTH), DECLINED),
    ("no colon", H(b"A\r\n" + LENGTH), DECLINED),
    ("no name", H(b": b\r\n" + LENGTH), DECLINED),
    ("no framing", H(b"A: b\r\n"), DECLINED),
    ("both framings", H(LENGTH + b"Transfer-Encoding: chunked\r\n"), DECLINED),
    ("both framings, the other way", H(b"Transfer-Encoding: chunked\r\n" + LENGTH), DECLINED),
    ("the same length twice", H(LENGTH + LENGTH), DECLINED),
    ("a list of lengths", H(b"Content-Length: 5, 5\r\n"), DECLINED),
    ("negative length", H(b"Content-Length: -5\r\n"), DECLINED),
    ("signed length", H(b"Content-Length: +5\r\n"), DECLINED),
    ("empty length", H(b"Content-Length: \r\n"), DECLINED),
    ("length of 13 digits over the cap", H(b"Content-Length: 9999999999999\r\n"), DECLINED),
    ("length of 14 digits", H(b"Content-Length: 00000000000005\r\n"), DECLINED),
    ("length of 30 digits", H(b"Content-Length: " + b"9" * 30 + b"\r\n"), DECLINED),
    ("another coding", H(b"Transfer-Encoding: gzip\r\n"), DECLINED),
    ("two codings", H(b"Transfer-Encoding: gzip, chunked\r\n"), DECLINED),
    ("chunked twice", H(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), DECLINED),
    ("another connection option", H(LENGTH + b"Connection: close, x\r\n"), DECLINED),
    ("128 KiB without an end", H(b"A: " + b"x" * 131_072), DECLINED),
]  # fmt: skip


def scan_head(native: ctypes.CDLL, page: GuardPage, data: bytes, seen: int = 0) -> tuple[int, Head]:
    head = Head()
    return native.http1_scan_head(page.put(data), len(data), seen, ctypes.byref(head)), head


@pytest.mark.parametrize(("data", "outcome"), [case[1:] for case in HEADS], ids=[case[0] for case in HEADS])
@pytest.mark.parametrize("behind", [b"", b"hello", b"\r\n\r\n", b"\0", b"HTTP/1.1 200 OK\r\n\r\n"], ids=repr)
def test_a_head_is_read_or_declined(
    native: ctypes.CDLL, page: GuardPage, data: bytes, outcome: object, behind: bytes
) -> None:
    if outcome == INCOMPLETE and behind:
        return  # what follows would belong to it
    n, head = scan_head(native, page, data + behind)
    if isinstance(outcome, int):
        assert n == outcome
    else:
        assert (n, head.fields()) == (len(data), outcome)


@pytest.mark.parametrize(
    ("data", "outcome"), [case[1:] for case in HEADS if len(case[1]) < 1000], ids=[c[0] for c in HEADS if len(c[1]) < 1000]
)  # fmt: skip
def test_a_head_that_comes_byte_by_byte_is_the_same(
    native: ctypes.CDLL, page: GuardPage, data: bytes, outcome: object
) -> None:
    n = INCOMPLETE
    for end in range(1, len(data) + 1):
        n, head = scan_head(native, page, data[:end], end - 1)
        if n != INCOMPLETE:
            break
    if isinstance(outcome, int):
        assert n == outcome
    else:
        assert (n, end, head.fields()) == (len(data), len(data), outcome)


def test_16_kib_one_byte_at_a_time_take_linear_steps(native: ctypes.CDLL, page: GuardPage) -> None:
    data = H(b"A: " + b"x" * 16_384 + b"\r\n" + LENGTH)
    before = native.shim_looked_at()
    for end in range(1, len(data) + 1):
        n, _ = scan_head(native, page, data[:end], end - 1)
    assert n == len(data)
    assert native.shim_looked_at() - before <= len(data)


# Name, bytes, payload, where the unused bytes begin, outcome (DONE, INCOMPLETE, DECLINED).
CHUNKS: list[tuple[str, bytes, bytes, int, int]] = [
    ("one", b"5\r\nhello\r\n0\r\n\r\n", b"hello", 15, DONE),
    ("several", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", 20, DONE),
    ("none", b"0\r\n\r\n", b"", 5, DONE),
    ("upper and lower case", b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2, 35, DONE),
    ("eight digits", b"00000005\r\nhello\r\n0\r\n\r\n", b"hello", 22, DONE),
    ("nine digits", b"000000005\r\nhello\r\n", b"", 0, DECLINED),
    ("an extension", b"5;a=b\r\nhello\r\n", b"", 0, DECLINED),
    ("a later extension", b"2\r\nhe\r\n3;a\r\nllo\r\n", b"he", 7, DECLINED),
    ("trailers", b"5\r\nhello\r\n0\r\nA: b\r\n\r\n", b"hello", 13, DECLINED),
    ("bare line feed after a size", b"5\nhello\r\n", b"", 0, DECLINED),
    ("bare line feed after a payload", b"5\r\nhello\n0\r\n\r\n", b"hello", 8, DECLINED),
    ("no line end after a payload", b"5\r\nhelloX", b"hello", 8, DECLINED),
    ("carriage return and more", b"5\r\nhello\rX", b"hello", 8, DECLINED),
    ("no digits", b"\r\nhello", b"", 0, DECLINED),
    ("negative", b"-5\r\nhello", b"", 0, DECLINED),
    ("hexadecimal mark", b"0x5\r\nhello", b"", 0, DECLINED),
    ("overflow", b"fffffffffffffffff\r\n", b"", 0, DECLINED),
    ("cut in a size", b"5", b"", 0, INCOMPLETE),
    ("cut after a size", b"5\r", b"", 0, INCOMPLETE),
    ("cut in a payload", b"5\r\nhel", b"hel", 6, INCOMPLETE),
    ("cut after a payload", b"5\r\nhello\r", b"hello", 8, INCOMPLETE),
    ("cut at the end", b"5\r\nhello\r\n0\r\n\r", b"hello", 13, INCOMPLETE),
]


def decode(native: ctypes.CDLL, page: GuardPage, reads: Iterator[bytes]) -> tuple[bytes, int, int]:
    """Payload, used bytes and outcome, as a caller gets them that appends what it reads to what it has not used."""
    chunks, payload, used, pending, n = Chunks(), bytearray(), 0, b"", INCOMPLETE
    for data in reads:
        pending += data
        while pending and chunks.state != DONE:
            span = Span()
            n = native.http1_scan_chunks(ctypes.byref(chunks), page.put(pending), len(pending), ctypes.byref(span))
            if n < 0:
                break
            payload += span.text()
            used += n
            pending = pending[n:]
        if chunks.state == DONE or n == DECLINED:
            break
    return bytes(payload), used, DONE if chunks.state == DONE else n if n < 0 else INCOMPLETE


@pytest.mark.parametrize(("data", "payload", "used", "outcome"), [c[1:] for c in CHUNKS], ids=[c[0] for c in CHUNKS])
@pytest.mark.parametrize("how", ["whole", "byte by byte", "with bytes behind"])
def test_a_chunked_body_is_read_or_declined(
    native: ctypes.CDLL, page: GuardPage, how: str, data: bytes, payload: bytes, used: int, outcome: int
) -> None:
    cuts: Callable[[], Iterator[bytes]] = {
        "whole": lambda: iter([data]),
        "byte by byte": lambda: (bytes([b]) for b in data),
        "with bytes behind": lambda: iter([data + (b"HTTP/1.1 200 OK\r\n\r\n" if outcome != INCOMPLETE else b"")]),
    }[how]
    assert decode(native, page, cuts()) == (payload, used, outcome)


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"1542409706888", 1542409706888), (b"0", 0), (b"", 0), (b"-1", 0), (b"+1", 0), (b"1.5", 0), (b" 1", 0),
     (b"9" * 18, 10**18 - 1), (b"9" * 19, 0)],
)  # fmt: skip
def test_a_deadline_is_a_plain_number_or_unknown(native: ctypes.CDLL, text: bytes, value: int) -> None:
    held = ctypes.create_string_buffer(text)
    assert native.rapi_deadline_ms(Span(ctypes.addressof(held), len(text))) == value


@pytest.mark.parametrize(
    ("text", "is_safe"),
    [(b"abc", 1), (b"a b", 1), (b"", 1), (b" a", 0), (b"a ", 0), (b"a\tb", 0), (b"a\rb", 0), (b"a\nb", 0), (b"a\0b", 0),
     (b"\xe9", 0), (b"a\x7f", 0)],
)  # fmt: skip
def test_what_is_sent_back_in_a_header_is_printable_ascii(native: ctypes.CDLL, text: bytes, is_safe: int) -> None:
    held = ctypes.create_string_buffer(text)
    assert native.rapi_is_header_safe(Span(ctypes.addressof(held), len(text))) == is_safe


def test_the_guard_page_guards(tmp_path: Path) -> None:
    """One byte behind the end cannot be read: the process that tries it is killed."""
    code = (
        "import sys, ctypes; sys.path[:0] = sys.argv[1:]\n"
        "from test_scanner import GuardPage\n"
        "page = GuardPage(10)\n"
        "at = page.put(b'abc')\n"
        "assert ctypes.string_at(at, 3) == b'abc'\n"
        "ctypes.string_at(at, 4)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(ROOT / "tests")], capture_output=True, check=False
    )
    assert done.returncode == -11, done.stderr.decode()[-500:]
