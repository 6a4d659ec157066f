"""The parts of a Context that few handlers ask for: client context, identity, W3C trace context, log, repr.

Source: AWS's LambdaContext, as its users know it.
"""

from fastlambda.errors import ContextUnmarshalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ATTRIBUTES = (
    "aws_request_id",
    "client_context",
    "deadline",
    "env_config",
    "function_name",
    "function_version",
    "identity",
    "invoked_function_arn",
    "log_group_name",
    "log_stream_name",
    "memory_limit_in_mb",
    "request_id",
    "tenant_id",
    "xray_trace_id",
)


class Client:
    """The application that called."""

    __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")  # noqa: RUF023

    def __init__(self, values: "dict[str, Any]") -> None:
        for name in self.__slots__:
            setattr(self, name, values.get(name))

    def __repr__(self) -> str:
        return f"Client([{_fields(self)}])"


class ClientContext:
    """What the caller sent as client context."""

    __slots__ = ("client", "custom", "env")

    def __init__(self, values: "dict[str, Any]") -> None:
        self.custom = values.get("custom")
        self.env = values.get("env")
        client = values.get("client")
        self.client = None if client is None else Client(client)

    def __repr__(self) -> str:
        return f"ClientContext([custom={self.custom},env={self.env},client={self.client}])"


class CognitoIdentity:
    """Who called through Amazon Cognito; fields are None when nobody did."""

    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self, values: "dict[str, Any]") -> None:
        self.cognito_identity_id = values.get("cognitoIdentityId")
        self.cognito_identity_pool_id = values.get("cognitoIdentityPoolId")

    def __repr__(self) -> str:
        return f"CognitoIdentity([{_fields(self)}])"


def _fields(value: object) -> str:
    return ",".join(f"{name}={getattr(value, name)}" for name in value.__slots__)  # type: ignore[attr-defined]


def _parse(text: str, what: str) -> "Any":
    from json import loads

    try:
        return loads(text)
    except ValueError as exc:
        raise ContextUnmarshalError(f"Unable to parse {what} JSON: {exc}") from None


def client_context(text: "str | None") -> "ClientContext | None":
    """The client context; None when the event came without one."""
    values = _parse(text, "Client Context") if text else None
    return None if values is None else ClientContext(values)


def cognito_identity(text: "str | None") -> CognitoIdentity:
    """The identity, which is never None."""
    values = _parse(text, "Cognito Identity") if text else None
    return CognitoIdentity({} if values is None else values)


def w3c(text: "str | None") -> dict[str, str]:
    """traceparent, tracestate and baggage, those that came."""
    values = _parse(text, "Client Context") if text else None
    found = values.get("w3c") if isinstance(values, dict) else None
    if not isinstance(found, dict):
        return {}
    return {k: found[k] for k in ("traceparent", "tracestate", "baggage") if isinstance(found.get(k), str)}


def log(message: object) -> None:
    """Writes to the function's log."""
    from fastlambda.logs import write

    write(str(message))


def names_of(context: object) -> list[str]:
    """dir(context), with the attributes that are made when first asked for."""
    return sorted({*object.__dir__(context), *ATTRIBUTES})


def describe(context: "Any") -> str:
    """repr(context), as AWS's client has it."""
    names = [
        "aws_request_id",
        "log_group_name",
        "log_stream_name",
        "function_name",
        "memory_limit_in_mb",
        "function_version",
        "invoked_function_arn",
        "client_context",
        "identity",
        "tenant_id",
    ]
    return f"LambdaContext([{','.join(f'{name}={getattr(context, name)}' for name in names)}])"
