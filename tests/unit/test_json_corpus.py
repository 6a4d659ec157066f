"""A corpus of JSON documents, decoded as AWS's client decodes them: its library is the oracle."""

from __future__ import annotations

from pathlib import Path

import pytest
import simplejson

from fastlambda._core import Codec
from fastlambda.errors import UnmarshalError

CORPUS = Path(__file__).resolve().parent.parent / "data" / "json"
FILES = sorted(CORPUS.glob("*/*.json"))
REFUSED = "refused"
# From here on the interpreter's recursion limit decides, which differs between Python versions and call depths.
DEEP = {"depth_900", "depth_5000", "depth_20000_open"}


def outcome(decode: object, body: bytes) -> str:
    """repr() tells int from float, 0.0 from -0.0 and the order of keys."""
    try:
        return repr(decode(body))  # type: ignore[operator]
    except (ValueError, RecursionError, UnmarshalError):
        return REFUSED


@pytest.mark.parametrize("choice", ["stdlib", "orjson"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_document_is_decoded_as_awss_client_does(path: Path, choice: str) -> None:
    body = path.read_bytes()
    expected = outcome(simplejson.loads, body)
    if path.parent.name != "open":
        assert (expected == REFUSED) == (path.parent.name == "invalid"), "the file is in the wrong folder"
    found = outcome(Codec(choice).decode, body)
    if path.stem in DEEP:
        assert REFUSED in (found, expected) or found == expected
    else:
        assert found == expected


def test_the_corpus_is_there() -> None:
    assert len(FILES) >= 150


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_both_codecs_refuse_in_the_same_words(path: Path) -> None:
    if path.stem in DEEP:
        return
    words = []
    for choice in ("stdlib", "orjson"):
        try:
            Codec(choice).decode(path.read_bytes())
        except UnmarshalError as exc:
            words.append(str(exc))
    assert len(set(words)) <= 1
