"""Events and results as JSON, the way AWS's client lets them be changed; the meaning is that of docs/json.md."""

import json
from typing import Any

from fastlambda._core import Codec, running
from fastlambda.codec import replace
from fastlambda.errors import MarshalError, UnmarshalError
from fastlambda.face import attach, face

from .lambda_runtime_exception import FaultException


class RawJson:
    """Text that is JSON already."""

    def __init__(self, text: bytes) -> None:
        self.text = text


class Encoder(json.JSONEncoder):
    """Writes results; default() is asked for whatever is not of a JSON type."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)

    def default(self, obj: Any) -> Any:
        """What is written in place of a value, or TypeError."""
        is_text, value = replace(obj)
        return RawJson(value) if is_text else value  # type: ignore[arg-type]

    def encode(self, obj: Any) -> str:
        """The JSON text of a value."""
        runtime = running()
        layout = None if runtime is None else runtime.config.json_layout
        codec = Codec("stdlib", layout)
        codec.replace = lambda value: _asked(self, value)
        return codec.encode(obj).decode("utf-8", "surrogatepass")


def _asked(encoder: Encoder, value: object) -> "tuple[bool, object]":
    """codec.replace() for an encoder of the user's: the same for subclasses of JSON types, default() for the rest."""
    if isinstance(value, (str, int, float, bytes, dict, list, tuple)) or callable(getattr(value, "_asdict", None)):
        return replace(value)
    made = encoder.default(value)
    return (True, made.text) if isinstance(made, RawJson) else (False, made)


def to_json(obj: Any) -> str:
    """A value as AWS's client writes it."""
    return Encoder().encode(obj)


class LambdaMarshaller:
    """Turns events into values and values into results; LambdaRuntimeClient.marshaller has these methods."""

    def __init__(self) -> None:
        self.jsonEncoder = Encoder()

    def unmarshal_request(self, request: Any, content_type: "str | None" = "application/json") -> Any:
        """The event: a JSON value, or what came when it is not JSON."""
        if content_type != "application/json":
            return request
        runtime = running()
        codec = Codec() if runtime is None else runtime.codec
        try:
            return codec.decode(request if isinstance(request, bytes) else bytes(request, "utf-8"))
        except UnmarshalError as exc:
            raise FaultException(FaultException.UNMARSHAL_ERROR, str(exc), None) from None

    def marshal_response(self, response: Any) -> "tuple[bytes | str, str]":
        """The result's bytes or text, and its content type."""
        if isinstance(response, bytes):
            return response, "application/unknown"
        try:
            return self.jsonEncoder.encode(response), "application/json"
        except MarshalError as exc:
            raise FaultException(FaultException.MARSHAL_ERROR, str(exc), None) from None
        except Exception as exc:
            raise FaultException(FaultException.MARSHAL_ERROR, f"Unable to marshal response: {exc}", None) from None


attach(__name__)


def is_replaced(marshaller: object) -> bool:
    """Whether a marshaller does anything else than the loop does by itself."""
    if type(marshaller) is not LambdaMarshaller or type(marshaller.jsonEncoder) is not Encoder:
        return True
    if len(vars(marshaller)) > 1 or marshaller.jsonEncoder.__dict__.keys() & {"default", "encode", "iterencode"}:
        return True
    current = face()
    if current is None:
        return False
    return any(
        vars(kind).get(name) is not original
        for kind in (LambdaMarshaller, Encoder)
        for name, original in current.originals[f"lambda_runtime_marshaller.{kind.__name__}"].items()
        if name in ("unmarshal_request", "marshal_response", "default", "encode", "__init__")
    )
