"""Frames of a traceback, and the lines that the traceback module would print of them, without that module.

It takes 20 ms of CPU to import (regular expressions, enum, tokenize), which a process with a fourteenth of a CPU does
not have between an interruption and the deadline.  Promises the same text as traceback.format_list().  Must not know:
what is told of an error (errors.py).
Source: the traceback module of CPython 3.11 to 3.15; PEP 263.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

# The traceback module prints this many equal entries in a row, and then says how many more there were.
MAX_EQUAL = 3


class Frame:
    """One entry: where, and the source line there ("" where it cannot be read)."""

    __slots__ = ("_globals", "filename", "lineno", "name")

    def __init__(self, filename: str, lineno: int, name: str, variables: "dict[str, object] | None" = None) -> None:
        self.filename = filename
        self.lineno = lineno
        self.name = name
        self._globals = variables

    @property
    def line(self) -> str:
        return source_line(self.filename, self.lineno, self._globals).strip()


def frames_of(tb: "TracebackType | None", limit: int) -> list[Frame]:
    """The frames of a traceback, outermost first: the last `limit` of them."""
    found = []
    while tb is not None:
        found.append(_frame(tb.tb_frame, tb.tb_lineno))
        tb = tb.tb_next
    return found[-limit:]


def _frame(frame: "FrameType", lineno: "int | None") -> Frame:
    code = frame.f_code
    return Frame(code.co_filename, lineno or 0, code.co_name, frame.f_globals)


_files: dict[str, "list[bytes] | None"] = {}


def source_line(filename: str, lineno: int, variables: "dict[str, object] | None" = None) -> str:
    """A line of a source file, "" when there is none.

    Args:
        filename: as code objects have it.
        lineno: from 1.
        variables: of the module, whose loader may know the source.
    """
    if "linecache" not in sys.modules and not (filename.startswith("<") and filename.endswith(">")):
        lines = _lines(filename)
        if lines is not None:
            return lines[lineno - 1].decode("utf-8", "replace") if 0 < lineno <= len(lines) else ""
    from linecache import getline

    return getline(filename, lineno, variables)


def _lines(filename: str) -> "list[bytes] | None":
    """Of a file in UTF-8; None: linecache has to find and to decode it."""
    try:
        return _files[filename]
    except KeyError:
        pass
    lines = None
    try:
        with open(filename, "rb") as file:
            lines = file.read().split(b"\n")
    except OSError:
        pass
    else:
        if any(b"coding" in line for line in lines[:2]) or b"\f" in lines[0]:
            lines = None
    _files.clear()  # one is kept: the frames of a stack are mostly of one file, and it may be changed
    _files[filename] = lines
    return lines


def format_frames(frames: list[Frame]) -> list[str]:
    """Entries as traceback.format_list() prints them, without caret lines; repeated ones are counted."""
    entries: list[str] = []
    last, n = None, 0
    for frame in frames:
        place = (frame.filename, frame.lineno, frame.name)
        if place != last:
            _tell_repeated(entries, n)
            last, n = place, 0
        n += 1
        if n > MAX_EQUAL:
            continue
        line = frame.line
        entries.append(
            f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n' + (f"    {line}\n" if line else "")
        )
    _tell_repeated(entries, n)
    return entries


def _tell_repeated(entries: list[str], n: int) -> None:
    if n > MAX_EQUAL:
        more = n - MAX_EQUAL
        entries.append(f"  [Previous line repeated {more} more time{'s' if more > 1 else ''}]\n")
