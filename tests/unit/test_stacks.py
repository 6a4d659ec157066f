"""fastlambda.stacks tells frames as the traceback module does: same text, whatever the source comes from."""

import importlib
import subprocess
import sys
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

PROBE = """
import sys
sys.path.insert(0, sys.argv[1])
import {module}
try:
    {module}.fail()
except BaseException as exc:
    from fastlambda.stacks import format_frames, frames_of
    ours = format_frames(frames_of(exc.__traceback__, 1000))
    assert "traceback" not in sys.modules
    assert ({needs_linecache}) == ("linecache" in sys.modules), "linecache is loaded where it is needed, and only there"
    import traceback
    frames = traceback.StackSummary.extract(traceback.walk_tb(exc.__traceback__))
    theirs = traceback.format_list([(f.filename, f.lineno, f.name, f.line) for f in frames])
    assert ours == theirs, (ours, theirs)
    print(ours[-1])
"""


def plain(folder: Path) -> str:
    (folder / "source.py").write_text("def fail():\n    inner()\n\n\ndef inner():\n    raise ValueError  # \u00fc\n")
    return str(folder)


def deep(folder: Path) -> str:
    (folder / "source.py").write_text("def fail(n=20):\n    if n:\n        fail(n - 1)\n    raise ValueError\n")
    return str(folder)


def repeated_once_too_often(folder: Path) -> str:
    (folder / "source.py").write_text("def fail(n=4):\n    if n:\n        fail(n - 1)\n    raise ValueError\n")
    return str(folder)


def other_line_ends(folder: Path) -> str:
    (folder / "source.py").write_bytes(b"def fail():\r\n    raise ValueError\r\n")
    return str(folder)


def source_that_has_gone(folder: Path) -> str:
    (folder / "source.py").write_text(
        "import os\n\n\ndef fail():\n    os.rename(__file__, __file__ + '~')\n    raise ValueError\n"
    )
    return str(folder)


def text_without_a_file(folder: Path) -> str:
    (folder / "source.py").write_text("def fail():\n    exec('raise ValueError')\n")
    return str(folder)


def latin_1(folder: Path) -> str:
    (folder / "source.py").write_bytes(b"# coding: latin-1\ndef fail():\n    raise ValueError  # \xfc\n")
    return str(folder)


def zip_file(folder: Path) -> str:
    with zipfile.ZipFile(folder / "source.zip", "w") as file:
        file.writestr("source.py", "def fail():\n    raise ValueError\n")
    return str(folder / "source.zip")


SOURCES = [
    (plain, False),
    (deep, False),
    (repeated_once_too_often, False),
    (other_line_ends, False),
    (source_that_has_gone, True),
    (text_without_a_file, True),
    (latin_1, True),
    (zip_file, True),
]


@pytest.mark.parametrize(("source", "needs_linecache"), SOURCES, ids=[made.__name__ for made, _ in SOURCES])
def test_frames_are_told_as_the_traceback_module_tells_them(
    source: Callable[[Path], str], needs_linecache: bool, tmp_path: Path
) -> None:
    code = PROBE.format(module="source", needs_linecache=needs_linecache)
    (tmp_path / "probe.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-S", str(tmp_path / "probe.py"), source(tmp_path)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(importlib.import_module("fastlambda").__file__ or "").parents[1])},
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "line" in done.stdout


def test_a_changed_linecache_is_followed_where_it_is_loaded(tmp_path: Path) -> None:
    import linecache

    from fastlambda.stacks import Frame, format_frames

    linecache.cache["<notebook>"] = (5, None, ["first\n", "second\n"], "<notebook>")
    try:
        frames = [Frame("<notebook>", 2, "cell")]
        assert format_frames(frames) == traceback.format_list([("<notebook>", 2, "cell", "second")])
    finally:
        del linecache.cache["<notebook>"]
