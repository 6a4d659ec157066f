"""The parts of a Context that few handlers ask for: client context, identity, W3C trace context, log, repr.

Source: AWS's LambdaContext, as its users know it.
"""

from fastlambda.errors import ContextUnmarshalError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from fastlambda._core import Context

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
    return w3c_fields(_parse(text, "Client Context") if text else None)


def w3c_fields(values: object) -> dict[str, str]:
    """The same of a client context that has been read."""
    found = values.get("w3c") if isinstance(values, dict) else None
    if not isinstance(found, dict):
        return {}
    return {k: found[k] for k in ("traceparent", "tracestate", "baggage") if isinstance(found.get(k), str)}


def log(message: object) -> None:
    """Writes to the function's log."""
    from fastlambda.logs import write

    write(str(message))


# vars() of AWS's context, in its order.
_VARS = (
    *("aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb", "function_version"),
    *("invoked_function_arn", "tenant_id", "_w3c_fields", "client_context", "identity", "_epoch_deadline_time_in_ms"),
)


def fill(context: object, values: "dict[str, Any]") -> "dict[str, Any]":
    """What vars(context) gives: all that AWS's client sets for an invocation, then what else has been made or set.

    Args:
        context: the Context.
        values: its own dict, which is filled.
    """
    if not all(name in values for name in _VARS):
        known = dict(values)
        values.clear()
        for name in _VARS:
            values[name] = known.pop(name) if name in known else getattr(context, name)
        values.update(known)
    return values


def copied(context: "Any", memo: "dict[int, Any] | None") -> "Any":
    """A Context of the same invocation.

    Args:
        context: what is copied.
        memo: of copy.deepcopy(), which copies what it holds too; None: copy.copy().
    """
    twin = type(context)(context._invocation, context._config)
    values = vars(context)
    if memo is not None:
        from copy import deepcopy

        memo[id(context)] = twin
        values = {name: deepcopy(value, memo) for name, value in values.items()}
    vars(twin).update(values)
    return twin


def reduced(context: "Context") -> "tuple[Any, ...]":
    """For pickle: the values, which do not need the invocation."""
    return rebuilt, ({name: value for name, value in vars(context).items() if name != "env_config"},)


def rebuilt(values: "dict[str, Any]") -> "Context":
    """A Context from its pickled values, in a process that need not be a function's."""
    from time import time

    from fastlambda._core import Config, Context, Invocation

    left = values["_epoch_deadline_time_in_ms"] - int(time() * 1000)
    context = Context(Invocation.offline(b"", values["aws_request_id"], left), Config())
    vars(context).update(values)
    return context


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
