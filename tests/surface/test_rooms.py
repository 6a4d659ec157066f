"""The room plan: which room may import which, and what a native room must not know. docs/architecture.md draws it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support import ROOT

PACKAGE = ROOT / "src/fastlambda"
NATIVE = sorted((PACKAGE / "_native").glob("*.[ch]"))

# Arrows point down: a room may import those of a lower floor, and of its own only where it is named.
FLOORS: list[set[str]] = [
    {"_version", "errors", "stacks", "_broken", "upload"},
    {"_core", "_h11", "handler", "codec", "context", "failures", "typed", "lazy", "logs", "hooks", "redact", "face"},
    {"async_handler", "aws_client", "runner", "streams", "streaming", "_managed"},
    {"batch", "custom_resource", "rotate", "http", "__init__", "__main__"},
    {"local", "packaging", "testing"},
    {"_command"},
]
# On one floor: who may look at whom.
NEIGHBOURS = {
    ("errors", "stacks"),
    ("_core", "codec"),  # lazily: the rules for what is not exactly a JSON type
    ("_core", "context"),
    ("_core", "failures"),
    ("_core", "handler"),
    ("_core", "_h11"),
    ("_core", "logs"),
    ("_core", "hooks"),
    ("_core", "face"),
    ("face", "_core"),
    ("face", "logs"),
    ("_core", "lazy"),  # FASTLAMBDA_LAZY_IMPORTS=1
    ("codec", "_core"),
    ("typed", "_core"),
    ("hooks", "_core"),
    ("logs", "_core"),
    ("handler", "_core"),
    ("context", "logs"),
    ("context", "_core"),  # makes one from pickled values
    ("context", "codec"),
    ("runner", "streams"),
    ("async_handler", "runner"),
    ("streams", "runner"),
    ("__main__", "__init__"),
    ("packaging", "local"),
    ("local", "testing"),
    ("local", "packaging"),
}
# Step one and what follows it, loaded when it comes.
FLOORS[1] |= {"interruption", "ending", "observers"}
NEIGHBOURS |= {
    ("_core", "interruption"),
    ("_core", "ending"),
    ("failures", "interruption"),
    ("interruption", "_core"),
    ("interruption", "observers"),
    ("ending", "_core"),
    ("ending", "observers"),
}
# Up, and only when a feature asks for it.
LAZY = {
    ("_core", "runner"),  # module:RunnerClass on the command line
    ("_core", "async_handler"),  # a handler that is `async def`
    ("_core", "streams"),  # a result that is a stream
    ("_core", "_managed"),
    ("failures", "streams"),  # a result that is a stream
    ("typed", "runner"),  # the class whose parameters are read
    ("errors", "logs"),
    ("errors", "_core"),
    ("errors", "interruption"),  # asked only when it is loaded
    ("_broken", "_version"),
    ("hooks", "runner"),
    ("runner", "custom_resource"),  # one that cannot be made answers all the same
}


def room_of(path: Path) -> str:
    """The first part of its path; `_core` for the files that it includes."""
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py").removesuffix(".pyx")
    return "_core" if first == "_cython" else first


def floor_of(room: str) -> int:
    for n, rooms in enumerate(FLOORS):
        if room in rooms:
            return n
    raise AssertionError(f"{room} has no floor: add it to this plan and to docs/architecture.md")


def imports_of(path: Path) -> set[str]:
    """Rooms of ours that a file imports, anywhere in it, type-checking blocks aside."""
    text = path.read_text()
    if path.suffix in (".pyx", ".pxi"):
        assert not re.findall(r"^\s*(?:from|import) fastlambda", text, re.M), "the core loads late(), when it has to"
        return set(re.findall(r'\blate(?:_if_possible)?\(b"fastlambda\.(\w+)"', text))
    tree = ast.parse(text)
    for node in ast.walk(tree):  # what only type checkers see is not an import
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fastlambda":
            parts = node.module.split(".")
            names |= (
                {parts[1]} if len(parts) > 1 else {a.name for a in node.names if (PACKAGE / f"{a.name}.py").exists()}
            )
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("fastlambda.")}
    return names


CYTHON = [PACKAGE / "_core.pyx", *(PACKAGE / "_cython").glob("*.pxi")]
FILES = sorted([*PACKAGE.rglob("*.py"), *CYTHON])


@pytest.mark.parametrize("path", FILES, ids=[str(p.relative_to(PACKAGE)) for p in FILES])
def test_arrows_point_down(path: Path) -> None:
    room = room_of(path)
    for other in imports_of(path) - {room}:
        if (room, other) in NEIGHBOURS or (room, other) in LAZY:
            continue
        assert floor_of(other) < floor_of(room), f"{room} imports {other}, which is not below it"


def test_the_core_includes_every_file_beside_it_and_loads_other_rooms_late() -> None:
    included = re.findall(r'^include "_cython/(\w+\.pxi)"$', CYTHON[0].read_text(), re.M)
    assert sorted(included) == sorted(p.name for p in CYTHON[1:])
    assert len(set().union(*map(imports_of, CYTHON))) > 5


@pytest.mark.parametrize("path", NATIVE, ids=[p.name for p in NATIVE])
def test_a_native_room_knows_no_python(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r'#include\s*[<"]Python\.h', text)
    assert not re.search(r"\bPy[A-Z_]\w+\(", re.sub(r"/\*.*?\*/", "", text, flags=re.S))


@pytest.mark.parametrize("path", NATIVE, ids=[p.name for p in NATIVE])
def test_a_native_room_sees_only_the_rooms_it_may(path: Path) -> None:
    may = {
        "buffer": {"buffer"},
        "envvar": {"envvar"},
        "http1": {"http1", "status", "buffer"},
        "json": {"json", "status", "buffer"},
        "net": {"net", "status", "buffer"},
        "rapi": {"rapi", "http1", "status", "buffer"},
        "settings": {"settings"},
        "status": set(),
        "diet": set(),
        "file": {"file"},
        "fork": {"fork"},
        "arenas": {"arenas"},
        "guard": {"guard", "buffer"},
        "guard_moves": {"guard"},
        "guard_internal": {"guard", "guard_moves"},
        "guard_slot": {"guard_internal"},
        "guard_memory": {"guard_internal"},
        "guard_look": {"guard_internal", "net"},  # is the connection still ours?
        "guard_life": {"guard_internal", "net"},  # a forked child closes the connection
        "guard_report": {"guard_internal", "net", "rapi", "status"},  # its last word uses the wire
        "init_alarm": {"guard_internal"},
        "guard_stderr": {"guard_internal", "file"},
    }
    included = set(re.findall(r'#include "(\w+)\.h"', path.read_text()))
    assert included <= may[path.stem]


def test_every_native_header_opens_with_what_it_owns_promises_and_must_not_know() -> None:
    for path in NATIVE:
        if path.suffix == ".h" and path.stem not in ("status", "diet"):
            opening = path.read_text()[:1500]
            for word in ("Owns", "Promises", "Must not know"):
                assert re.search(rf"^[ /]\* {word}\b", opening, re.M), f"{path.name} does not say {word!r}"


def test_only_config_and_the_front_doors_read_the_environment() -> None:
    readers = set()
    for path in FILES:
        if room_of(path) in ("local", "packaging", "testing"):
            continue
        if re.search(r"os\.environ|os\.getenv|_environ\b", path.read_text()):
            readers.add(room_of(path))
    # aws_client has the functions of AWS's client that do.
    assert readers <= {"_core", "logs", "hooks", "_managed", "rotate", "aws_client"}, readers
