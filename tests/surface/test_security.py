"""SECURITY.md: every promise names what holds it, or says that it is open; what it names is there."""

from __future__ import annotations

import re

from support import ROOT

TEXT = (ROOT / "SECURITY.md").read_text()
BOUNDARIES = ("The caller", "The function's own code", "The Runtime API", "The developer's machine", "The build")


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_each_boundary_says_who_is_trusted_and_what_is_promised() -> None:
    for title in BOUNDARIES:
        assert "**Trusted" in section(title), title
        assert "| Promise | Held by |" in section(title), title


def test_each_promise_names_its_test_or_is_open() -> None:
    rows = 0
    for title in BOUNDARIES:
        table = section(title).partition("| Promise | Held by |\n|---|---|\n")[2].partition("\n\n")[0]
        for row in table.splitlines():
            rows += 1
            held = row.rsplit("|", 2)[1]
            assert "*open*" in held or re.search(r"`(tests|tools)/[\w/.]+`", held), row
    assert rows >= 25


def test_what_it_names_is_there() -> None:
    for name in re.findall(r"`((?:tests|tools)/[\w/.]+)`", TEXT):
        assert (ROOT / name).is_file(), name
