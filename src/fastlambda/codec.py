"""The JSON rules for what is not plain JSON: the only importer of orjson.

Owns what the core's Codec asks for: orjson's functions when they are worth their import, the replacement of a value
that is no JSON type, and the words for a document that is refused.  Must not know: invocations.
Source: Runtime API contract, "JSON"; docs/json.md.
"""

import builtins
import sys

from fastlambda.errors import MarshalError, UnmarshalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable
    from typing import Any

# Written as objects: frozendict, from Python 3.15 on, is no dict.
_MAPPINGS = (dict, builtins.frozendict) if hasattr(builtins, "frozendict") else (dict,)


def orjson_functions() -> "tuple[Callable[..., object], Callable[..., bytes], Callable[[object], object], int] | None":
    """orjson's loads and dumps, the fallback and the options for dumps; None when orjson cannot be imported."""
    try:
        import orjson
    except Exception:
        return None  # not there, for another processor, broken: the process works without

    fragment = orjson.Fragment

    def fallback(value: object) -> object:
        is_text, value = replace(value)
        if is_text:
            return fragment(value)  # type: ignore[arg-type]
        # A subclass would come back here for ever.
        if isinstance(value, dict):
            return value if type(value) is dict else dict(value)
        if isinstance(value, (list, tuple)):
            return list(value)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            return int.__index__(value)
        if isinstance(value, float):
            return float(value)
        return value

    # Subclasses and dataclasses go through replace(), so that `_asdict` comes before what a class derives from.
    # Without OPT_SERIALIZE_NUMPY, with which orjson imports numpy, if it is installed, for the first value that it does
    # not know, a Decimal say; numpy's own values come to the fallback.
    options = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS
    return orjson.loads, orjson.dumps, fallback, options


def raise_interruption(exc: TypeError) -> None:
    """Raises the guard's interruption, if that is what came up in the fallback: orjson wraps whatever does.

    Args:
        exc: what orjson's dumps raised.
    """
    cause = exc.__cause__
    if cause is not None and (isinstance(cause, MemoryError) or not isinstance(cause, Exception)):
        raise cause


def replace(value: object) -> tuple[bool, object]:
    """What is written in place of a value that is not exactly of a JSON type.

    Args:
        value: anything but None, bool, and instances of str.

    Returns:
        (True, JSON text as bytes), or (False, a value to be encoded; a subclass of a JSON type counts as its base).

    Raises:
        TypeError: the value has no JSON form.
    """
    if isinstance(value, (str, int, float)):
        return False, value
    if isinstance(value, bytes):
        return False, value.decode("utf-8")
    as_dict = getattr(value, "_asdict", None)
    if callable(as_dict):  # a namedtuple, and whatever looks like one
        fields = as_dict()
        if not isinstance(fields, dict):
            raise TypeError(f"_asdict() must return a dict, not {type_name(fields)}")
        return False, fields
    if isinstance(value, _MAPPINGS):
        return False, dict(value.items())  # which say what is in it
    if isinstance(value, (list, tuple)):
        return False, value
    # From here on only modules that somebody has imported can matter: without decimal there is no Decimal.
    modules = sys.modules
    if "decimal" in modules and isinstance(value, modules["decimal"].Decimal):
        return True, (str(value) if value.is_finite() else "null").encode("ascii")
    if "dataclasses" in modules and not isinstance(value, type) and hasattr(value, "__dataclass_fields__"):
        return False, {field.name: getattr(value, field.name) for field in modules["dataclasses"].fields(value)}
    if "enum" in modules and isinstance(value, modules["enum"].Enum):
        return False, value.value
    text = _date_or_uuid(value)
    if text is not None:
        return True, b'"%b"' % text.encode("ascii")
    numpy = modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return _numpy_value(numpy, value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _date_or_uuid(value: object) -> str | None:
    """The text that orjson writes for its own types, which AWS's client refuses; None: it is none of them.

    Not by orjson: importing it for one date costs more than a cold start, and it need not be installed.
    """
    kind = type(value)
    if kind.__module__ == "datetime" and "datetime" in sys.modules:
        dt = sys.modules["datetime"]
        if kind is dt.date:
            return str(value)
        if kind is dt.time:
            if value.tzinfo is not None:  # type: ignore[attr-defined]
                raise TypeError("datetime.time must not have tzinfo set")
            return value.isoformat()  # type: ignore[attr-defined, no-any-return]
        if kind is dt.datetime:
            local: str = value.replace(tzinfo=None).isoformat()  # type: ignore[attr-defined]
            return local if value.tzinfo is None else local + _offset(value.utcoffset())  # type: ignore[attr-defined]
    if kind.__module__ == "uuid" and kind is sys.modules["uuid"].UUID:
        return str(value)
    return None


def _offset(offset: "datetime.timedelta | None") -> str:
    """+HH:MM, the seconds rounded as orjson does it (so that +00:59:30 is +00:60)."""
    seconds = 0 if offset is None else offset.days * 86400 + offset.seconds
    hours, rest = divmod(abs(seconds), 3600)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{rest // 60 + (rest % 60 >= 30):02}"


def _numpy_value(numpy: "Any", value: "Any") -> tuple[bool, object]:
    """numpy's scalars and arrays as orjson writes them, and without orjson the same, more slowly."""
    try:
        import orjson
    except ImportError:
        pass
    else:
        return True, orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    kind = value.dtype.kind
    is_array = isinstance(value, numpy.ndarray)
    if (
        kind not in "biuf"
        or value.dtype.itemsize > 8
        or (is_array and (not value.ndim or not value.flags.c_contiguous))
    ):
        raise TypeError(
            f"without orjson a numpy {type(value).__name__} of {value.dtype} has no JSON form; use tolist()"
        )
    if kind == "f" and value.dtype.itemsize < 8:
        # The shortest decimal of the narrow float, not that of the double it becomes.
        value = value.astype("f4").astype("U32").astype("f8")
    return False, value.tolist()


def key_text(key: object) -> str:
    """The text of an object's key that is no str.

    Raises:
        TypeError: it cannot be a key.
    """
    if key is None:
        return "null"
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int):
        return int.__repr__(key)
    if isinstance(key, float):
        if key != key:
            return "NaN"
        if key in (float("inf"), float("-inf")):
            return "Infinity" if key > 0 else "-Infinity"
        return float.__repr__(key)
    if isinstance(key, bytes):
        return key.decode("utf-8")
    raise TypeError(f"keys must be str, int, float, bool or None, not {type_name(key)}")


def type_name(value: object) -> str:
    """A class's name as the interpreter's C code says it: with the module when the class is written in C."""
    kind = type(value)
    is_written_in_python = kind.__flags__ & 1 << 9 and not kind.__flags__ & 1 << 8  # heap type, and not immutable
    if is_written_in_python or kind.__module__ == "builtins":
        return kind.__name__
    return f"{kind.__module__}.{kind.__name__}"


# ---- refusals -----------------------------------------------------------------------------------------------------


def cannot_marshal(value: object, exc: Exception) -> MarshalError:
    """The error for a result that cannot be written, from what stopped the encoder."""
    if isinstance(exc, RecursionError) and _is_circular(value):
        return MarshalError("Unable to marshal response: Circular reference detected")
    return MarshalError(f"Unable to marshal response: {exc}")


def _is_circular(value: object) -> bool:
    """Whether following first members for long comes back to a container on the way; without recursion."""
    path: list[object] = []
    above: set[int] = set()
    iterators = [iter([value])]
    steps = 0
    while iterators and steps < 1_000_000:
        steps += 1
        for member in iterators[-1]:
            if isinstance(member, (dict, list, tuple)):
                if id(member) in above:
                    return True
                above.add(id(member))
                path.append(member)
                iterators.append(iter(member.values() if isinstance(member, dict) else member))
                break
        else:
            iterators.pop()
            if path:
                above.discard(id(path.pop()))
    return False


def explain(text: "str | None", at: int, exc: "Exception | None", scan: "Callable[[str, int], object]") -> object:
    """Ends the decoding of a document that the scanner did not take.

    Args:
        text: the document, None when it is not UTF-8.
        at: index where the document begins, or where it ended too early when `exc` is None.
        exc: what the scanner raised.
        scan: the scanner.

    Returns:
        The value, when the scanner only found the document nested too deeply, and orjson does not.

    Raises:
        UnmarshalError: with the place and the reason, in the words of AWS's client.
    """
    if isinstance(exc, SystemError) and text is not None:
        # The scanner takes its exception from json.decoder, which nobody had imported.
        import json.decoder  # noqa: F401

        try:
            scan(text, at)
        except Exception as told:
            exc = told
    if isinstance(exc, RecursionError) and text is not None:
        functions = orjson_functions()
        if functions is not None:
            try:
                return functions[0](text)
            except ValueError:
                pass
    if text is None:
        reason = str(exc)
    elif exc is None:
        end = len(text)
        reason = f"Extra data: {_place(text, at)} - {_place(text, end)} (char {at} - {end})"
    elif isinstance(exc, StopIteration):
        reason = f"Expecting value: {_place(text, exc.value)} (char {exc.value})"
    elif hasattr(exc, "msg") and hasattr(exc, "pos"):
        reason = _reason(text, str(exc.msg), int(exc.pos))
    elif str(exc) in ("NaN", "Infinity", "-Infinity"):
        position = _constant_at(text, str(exc))
        reason = f"Expecting value: {_place(text, position)} (char {position})"
    else:
        reason = str(exc)
    raise UnmarshalError(f"Unable to unmarshal input: {reason}") from None


def _place(text: str, at: int) -> str:
    line = text.count("\n", 0, at) + 1
    column = at - text.rfind("\n", 0, at)
    return f"line {line} column {column}"


def _constant_at(text: str, name: str) -> int:
    """Where the first constant stands that is outside of a string."""
    from fastlambda._core import find_outside

    return max(find_outside(text, name.encode()), 0)


def _reason(text: str, message: str, at: int) -> str:
    """The interpreter's message in the words of AWS's client (which uses another library)."""
    if message.startswith("Invalid control character at"):
        message = f"Invalid control character {text[at]!r} at"
    elif message.startswith("Invalid \\escape"):
        message = f"Invalid \\X escape sequence {text[at]!r}"
    elif message.startswith("Invalid \\uXXXX escape"):
        message = "Invalid \\uXXXX escape sequence"
    elif message.startswith("Illegal trailing comma"):  # from Python 3.13 on
        in_object = message.endswith("object")
        message = "Expecting property name enclosed in double quotes" if in_object else "Expecting value"
        at = len(text) - len(text[at + 1 :].lstrip(" \t\n\r"))
    elif message == "Expecting ',' delimiter":
        from fastlambda._core import ends_in_object

        message += " or '}'" if ends_in_object(text[:at]) else " or ']'"
    return f"{message}: {_place(text, at)} (char {at})"
