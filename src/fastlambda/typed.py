"""Events decoded into declared types, and results encoded from them, by msgspec or pydantic.

Owns the choice of the library, what a Runner class declares, and the words of a wrong event.
Promises: a library is imported only for a type that needs it; plain JSON types need none, and typing is imported only
for a type that is given as text.
Must not know: sockets, the loop.  Loaded when a Runner declares anything but a plain JSON type.
Source: the libraries' own rules; errors as in the Runtime API contract, "Errors".
"""

import sys

from fastlambda._core import count_hard_floats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

# A wrong event may be wrong in each of a thousand items; the first few say what is the matter.
MAX_TOLD = 10
# Only there are an event's numbers looked at.
LARGE = 64 * 1024
MANY_HARD_FLOATS = 2000
BOM = b"\xef\xbb\xbf"

_SCALARS = (str, int, float, bool, None, type(None))
_PLAIN_CONTAINERS = (
    "list",
    "dict",
    "Mapping",
    "MutableMapping",
    "Sequence",
    "MutableSequence",
    "Iterable",
    "Collection",
)


def runner_types(cls: type) -> "tuple[Any, Any, Any]":
    """What a Runner class declares as Shared, Event and Return, `Any` for what it leaves open.

    Args:
        cls: a subclass of Runner, directly or through classes of its own with type variables.

    Raises:
        UsageError: a type is given as text that means nothing in the module of the class.
    """
    from fastlambda.runner import Runner

    found = type_arguments(cls, Runner)
    return found if len(found) == 3 else (_any(), _any(), _any())


def type_arguments(cls: type, target: type) -> "tuple[Any, ...]":
    """The types with which `cls` subscripts its ancestor `target`; () when it does not.

    Args:
        cls: the class whose bases are searched.
        target: a generic class among its ancestors.

    Raises:
        UsageError: a type is given as text that means nothing in the module of the class.
    """
    return _arguments(cls, (), target) or ()


def _any() -> "Any":
    """typing.Any; object in a process without typing, where nobody can have declared it."""
    typing: Any = sys.modules.get("typing")
    return object if typing is None else typing.Any


def _arguments(cls: type, args: "tuple[Any, ...]", target: type) -> "tuple[Any, ...] | None":
    """The arguments of `target` seen from `cls[args]`; None: it is no ancestor."""
    if cls is target:
        return args
    bases = cls.__dict__.get("__orig_bases__", cls.__bases__)
    bound: dict[Any, Any] = {}
    for i, variable in enumerate(_variables(cls, bases)):
        bound[variable] = args[i] if i < len(args) else _default(variable)
    for base in bases:
        origin = getattr(base, "__origin__", base)
        if isinstance(origin, type) and issubclass(origin, target):
            own = tuple(_substitute(_resolve(arg, cls), bound) for arg in getattr(base, "__args__", ()))
            found = _arguments(origin, own, target)
            if found is not None:
                return found
    return None


def _variables(cls: type, bases: "tuple[Any, ...]") -> "list[Any]":
    """The type variables of a class, in the order in which its arguments are given."""
    for base in bases:
        origin = getattr(base, "__origin__", None)
        if getattr(origin, "__name__", "") == "Generic" and origin.__module__ in ("typing", "_typing"):
            return list(base.__args__)
    found: list[Any] = []
    for base in bases:
        for variable in getattr(base, "__parameters__", ()):
            if variable not in found:
                found.append(variable)
    return found


def _default(variable: "Any") -> "Any":
    """What stands for a type variable that nobody filled in: PEP 696's default, its bound, or Any."""
    has_default = getattr(variable, "has_default", None)
    if has_default is not None and has_default():
        return variable.__default__
    bound = getattr(variable, "__bound__", None)
    return _any() if bound is None else bound


def _substitute(tp: "Any", bound: "dict[Any, Any]") -> "Any":
    if _is_variable(tp):
        return bound.get(tp, _default(tp))
    parameters = () if isinstance(tp, type) and not hasattr(tp, "__origin__") else getattr(tp, "__parameters__", ())
    return tp[tuple(bound.get(p, _default(p)) for p in parameters)] if parameters else tp


def _is_variable(tp: "Any") -> bool:
    return type(tp).__name__ == "TypeVar"


def _is_resolved(tp: "Any") -> bool:
    """Whether a type is made of classes and type variables only."""
    if isinstance(tp, type) and not hasattr(tp, "__origin__"):
        return True
    args = getattr(tp, "__args__", ())
    return tp is None or _is_variable(tp) or (bool(args) and all(map(_is_resolved, args)))


def _resolve(tp: "Any", cls: type) -> "Any":
    """`tp` with names in text replaced by what they mean in the module of `cls`."""
    if _is_resolved(tp):
        return type(None) if tp is None else tp
    from types import SimpleNamespace
    from typing import get_type_hints

    module = sys.modules.get(cls.__module__)
    holder = SimpleNamespace(__annotations__={"type": tp})
    try:
        return get_type_hints(holder, vars(module) if module else {}, dict(vars(cls)), include_extras=True)["type"]
    except (NameError, SyntaxError, TypeError) as exc:
        from fastlambda.errors import UsageError

        raise UsageError(
            f"{cls.__module__}.{cls.__qualname__} declares the type {tp!r}, which module {cls.__module__} "
            f"cannot resolve: {exc}"
        ) from None


# ---- which library ------------------------------------------------------------------------------------------------


def is_plain(tp: "Any") -> bool:
    """Whether a type says nothing that JSON itself does not: it needs no library, and values are not checked."""
    tp = _unwrap(tp)
    if tp is object or tp is dict or tp is list or tp in _SCALARS or _is_variable(tp) or tp is _any():
        return True
    origin, args = getattr(tp, "__origin__", None), tuple(getattr(tp, "__args__", ()))
    if type(tp).__name__ in ("Union", "UnionType", "_UnionGenericAlias"):
        return all(is_plain(arg) for arg in args)
    if getattr(origin, "__name__", "") in _PLAIN_CONTAINERS and not hasattr(tp, "__metadata__"):
        if len(args) == 2 and not (_unwrap(args[0]) is str or _unwrap(args[0]) is _any()):
            return False  # keys of JSON objects are text: anything else has to be converted
        return all(is_plain(arg) for arg in args)
    return False


def _unwrap(tp: "Any") -> "Any":
    """The type behind a NewType or a `type` statement."""
    for _ in range(50):
        if hasattr(tp, "__supertype__"):
            tp = tp.__supertype__
        elif type(tp).__name__ == "TypeAliasType":
            tp = tp.__value__
        else:
            break
    return tp


def _is_pydantic(tp: "Any") -> bool:
    return isinstance(tp, type) and (hasattr(tp, "__pydantic_validator__") or hasattr(tp, "__pydantic_fields__"))


def _is_struct(tp: "Any") -> bool:
    return isinstance(tp, type) and hasattr(tp, "__struct_fields__")


def _walk(tp: "Any", seen: "list[Any]") -> "Iterator[Any]":
    """All types that a type is made of, itself first; models of the libraries are not looked into."""
    tp = _unwrap(tp)
    if any(tp is known for known in seen):
        return
    seen.append(tp)
    yield tp
    for arg in getattr(tp, "__args__", ()):
        yield from _walk(arg, seen)
    if isinstance(tp, type) and not _is_pydantic(tp):
        from typing import get_type_hints

        try:
            # From Python 3.14 on this, not the definition of the class, runs what its annotations say.
            hints = get_type_hints(tp, include_extras=True)
        except Exception:
            return  # the library that gets the type says it better
        for hint in hints.values():
            yield from _walk(hint, seen)


def _installed(name: str) -> bool:
    if name in sys.modules:
        return True
    from importlib.util import find_spec

    return find_spec(name) is not None


def _library(tp: "Any") -> str:
    """ "msgspec" or "pydantic", for a type that is not plain.

    Raises:
        UsageError: the library that the type needs is not installed.
    """
    # A pydantic model can only be there when somebody has imported pydantic: most types need no search.
    if "pydantic" in sys.modules:
        parts = list(_walk(tp, []))
        if any(map(_is_pydantic, parts)) and not any(map(_is_struct, parts)):
            return "pydantic"
    try:
        import msgspec  # noqa: F401

        return "msgspec"
    except ModuleNotFoundError:
        pass
    if _installed("pydantic"):
        return "pydantic"
    from fastlambda.errors import UsageError

    raise UsageError(
        f"the type {type_name(tp)} needs msgspec or pydantic, and neither is installed: "
        "pip install 'fastlambda[typed]' (msgspec) or 'fastlambda[pydantic]'"
    )


def type_name(tp: "Any") -> str:
    """A type as its user wrote it, more or less."""
    return tp.__qualname__ if isinstance(tp, type) and not hasattr(tp, "__origin__") else str(tp)


def _unsupported(tp: "Any", library: str, exc: BaseException) -> BaseException:
    from fastlambda.errors import UsageError

    return UsageError(f"{library} cannot handle the type {type_name(tp)}: {exc}")


# ---- decoding -----------------------------------------------------------------------------------------------------


def decoder(tp: "Any") -> "Callable[[bytes], Any] | None":
    """What makes an event of a payload.

    Args:
        tp: the declared type.

    Returns:
        A function of the payload; None: the type is plain JSON.  What it raises is UnmarshalError.

    Raises:
        UsageError: no library is installed for the type, or it cannot handle it.
    """
    if tp is bytes:
        return bytes
    if is_plain(tp):
        return None
    if _library(tp) == "pydantic":
        return _pydantic_decoder(tp)
    return _msgspec_decoder(tp)


def converter(tp: "Any") -> "Callable[[Any], Any] | None":
    """What makes a value of a declared type of JSON values that are decoded already, and whose scalars may be text.

    Args:
        tp: the declared type; "5" becomes an int and "true" a bool where it says so.

    Returns:
        A function of the value; None: the type is plain JSON.  What it raises is UnmarshalError.

    Raises:
        UsageError: no library is installed for the type, or it cannot handle it.
    """
    if tp is bytes or is_plain(tp):
        return None
    if _library(tp) == "pydantic":
        return _pydantic_converter(tp)
    import msgspec

    def convert(value: object) -> object:
        try:
            return msgspec.convert(value, tp, strict=False, dec_hook=_validated_by_pydantic)
        except (msgspec.ValidationError, NotImplementedError, RecursionError) as exc:
            raise _wrong(tp, str(exc)) from None

    try:
        msgspec.json.Decoder(tp)  # says now what it cannot handle
    except (TypeError, NameError, AttributeError) as exc:
        if isinstance(exc, TypeError) and _installed("pydantic") and not any(map(_is_struct, _walk(tp, []))):
            return _pydantic_converter(tp)
        raise _unsupported(tp, "msgspec", exc) from None
    return convert


def _pydantic_converter(tp: "Any") -> "Callable[[Any], Any]":
    validate = _adapter(tp).validate_python
    from pydantic import ValidationError

    def convert(value: object) -> object:
        try:
            return validate(value)
        except ValidationError as exc:
            raise _wrong(tp, _told(exc, "$")) from None

    return convert


def _wrong(tp: "Any", why: str) -> BaseException:
    from fastlambda.errors import UnmarshalError

    return UnmarshalError(f"Unable to unmarshal input: it is not of type {type_name(tp)}: {why}")


def _not_json(exc: BaseException) -> BaseException:
    from fastlambda.errors import UnmarshalError

    return UnmarshalError(f"Unable to unmarshal input: {exc}")


def _refuse_constant(name: str) -> "Any":
    raise ValueError(f"{name} is not JSON")


def _validated_by_pydantic(tp: type, value: "Any") -> "Any":
    """For msgspec: a pydantic model inside of a type that msgspec decodes."""
    if not _is_pydantic(tp):
        raise NotImplementedError(f"values of type {type_name(tp)} cannot be made of JSON")
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(tp).validate_python(value)
    except ValidationError as exc:
        raise ValueError(_told(exc, "")) from None  # msgspec adds the path of the model


def _msgspec_decoder(tp: "Any") -> "Callable[[bytes], Any]":
    import msgspec

    try:
        decode = msgspec.json.Decoder(tp, dec_hook=_validated_by_pydantic).decode
    except (TypeError, NameError, AttributeError) as exc:
        # Unions of several dataclasses are beyond msgspec, and not beyond pydantic.
        if isinstance(exc, TypeError) and _installed("pydantic") and not any(map(_is_struct, _walk(tp, []))):
            return _pydantic_decoder(tp)
        raise _unsupported(tp, "msgspec", exc) from None
    validation_error, decode_error = msgspec.ValidationError, msgspec.DecodeError
    # Numbers that msgspec takes 6 us to read, by the hundred thousand, go to the interpreter's reader; not where every
    # digit counts.
    is_exact = any(getattr(part, "__name__", "") in ("Decimal", "Raw") for part in _walk(tp, []))

    def decode_event(body: bytes) -> object:
        try:
            if is_exact or len(body) < LARGE or count_hard_floats(body) < MANY_HARD_FLOATS:
                return decode(body)
        except validation_error as exc:
            raise _wrong(tp, str(exc)) from None
        except decode_error:
            pass
        except (NotImplementedError, RecursionError) as exc:
            raise _wrong(tp, str(exc)) from None
        # A BOM and lone surrogates, which AWS's client takes and msgspec does not; or it is no JSON at all.
        from json import loads

        try:
            return msgspec.convert(
                loads(body, parse_constant=_refuse_constant),
                tp,
                builtin_types=(),
                str_keys=True,
                dec_hook=_validated_by_pydantic,
            )
        except validation_error as exc:
            raise _wrong(tp, str(exc)) from None
        except (ValueError, RecursionError) as exc:
            raise _not_json(exc) from None

    return decode_event


def _told(exc: "Any", root: str) -> str:
    """A ValidationError of pydantic in one line, without the values that came."""
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    told = []
    for error in errors[:MAX_TOLD]:
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
        where = f" - at `{root}{path}`" if root else f" (in `{path.removeprefix('.')}`)" if path else ""
        told.append(f"{error['msg']}{where}")
    more = f"; and {len(errors) - MAX_TOLD} more" if len(errors) > MAX_TOLD else ""
    return "; ".join(told) + more


def _pydantic_decoder(tp: "Any") -> "Callable[[bytes], Any]":
    adapter = _adapter(tp)
    validate = adapter.validate_json
    from pydantic import ValidationError

    def decode_event(body: bytes) -> object:
        if body[:3] == BOM:
            body = body[3:]
        try:
            return validate(body)
        except ValidationError as exc:
            if exc.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
                raise _not_json(ValueError(_told(exc, ""))) from None
            raise _wrong(tp, _told(exc, "$")) from None

    return decode_event


def _adapter(tp: "Any") -> "Any":
    from pydantic import TypeAdapter
    from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

    try:
        return TypeAdapter(tp)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError, TypeError) as exc:
        raise _unsupported(tp, "pydantic", exc) from None


# ---- encoding -----------------------------------------------------------------------------------------------------


def encoder(tp: "Any", by_alias: bool | None = None) -> "Callable[[Any], bytes] | None":
    """What makes a payload of a result.

    Args:
        tp: the declared type.
        by_alias: whether pydantic writes aliases; None: as the model says.

    Returns:
        A function of the result; None: the type is plain JSON or `bytes`.  What it raises is MarshalError.

    Raises:
        UsageError: no library is installed for the type, or it cannot handle it.
    """
    if tp is bytes or is_plain(tp):
        return None
    return _pydantic_encoder(tp, by_alias) if _library(tp) == "pydantic" else _msgspec_encoder()


def _unencodable(exc: BaseException) -> BaseException:
    from fastlambda.errors import MarshalError

    return MarshalError(f"Unable to marshal response: {exc}")


def _dumped_by_pydantic(value: "Any") -> "Any":
    """For msgspec: a pydantic model inside of a value that msgspec encodes."""
    serializer = getattr(type(value), "__pydantic_serializer__", None)
    if serializer is None:
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
    return serializer.to_python(value, mode="json")


def _msgspec_encoder() -> "Callable[[Any], bytes]":
    import msgspec

    # A Decimal is written as a number, as it is everywhere else here.
    encode = msgspec.json.Encoder(enc_hook=_dumped_by_pydantic, decimal_format="number").encode

    def encode_result(value: object) -> bytes:
        try:
            return encode(value)
        except (TypeError, ValueError, RecursionError, OverflowError, msgspec.EncodeError) as exc:
            raise _unencodable(exc) from None

    return encode_result


def _pydantic_encoder(tp: "Any", by_alias: bool | None) -> "Callable[[Any], bytes]":
    dump = _adapter(tp).dump_json
    options = {} if by_alias is None else {"by_alias": by_alias}
    from pydantic_core import PydanticSerializationError

    def encode_result(value: object) -> bytes:
        try:
            return dump(value, **options)  # type: ignore[no-any-return]
        except (PydanticSerializationError, TypeError, ValueError, RecursionError) as exc:
            raise _unencodable(exc) from None

    return encode_result
