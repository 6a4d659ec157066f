"""The context's class as AWS's client names it, for isinstance() and for code that makes one itself."""

import os
import time
from typing import Any

from fastlambda import _core, context
from fastlambda.context import Client as Client
from fastlambda.context import ClientContext as ClientContext
from fastlambda.context import CognitoIdentity as CognitoIdentity
from fastlambda.face import attach

W3C_ALLOWED_FIELDS = ("traceparent", "tracestate", "baggage")


class _Kind(type):
    """fastlambda's Context counts as an instance."""

    def __instancecheck__(cls, instance: object) -> bool:
        return super().__instancecheck__(instance) or (cls is LambdaContext and isinstance(instance, _core.Context))

    def __subclasscheck__(cls, other: type) -> bool:
        return super().__subclasscheck__(other) or (cls is LambdaContext and issubclass(other, _core.Context))


class LambdaContext(metaclass=_Kind):
    """A context that no event came with; handlers get fastlambda's, which is an instance of this class too.

    Args:
        invoke_id: the request id.
        client_context, cognito_identity: dictionaries as they come in an event's headers, or None.
        epoch_deadline_time_in_ms: Unix milliseconds.
        invoked_function_arn, tenant_id: as they come.
    """

    def __init__(
        self,
        invoke_id: "str | None",
        client_context: "dict[str, Any] | None",
        cognito_identity: "dict[str, Any] | None",
        epoch_deadline_time_in_ms: int,
        invoked_function_arn: "str | None" = None,
        tenant_id: "str | None" = None,
    ) -> None:
        self.aws_request_id = invoke_id
        self.log_group_name = os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = os.environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = invoked_function_arn
        self.tenant_id = tenant_id
        self._w3c_fields = context.w3c_fields(client_context)
        self.client_context = None if client_context is None else ClientContext(client_context)
        self.identity = CognitoIdentity(cognito_identity or {})
        self._epoch_deadline_time_in_ms = epoch_deadline_time_in_ms

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the deadline, never below 0."""
        return max(0, self._epoch_deadline_time_in_ms - int(time.time() * 1000))

    def w3c(self) -> "dict[str, str]":
        """The W3C trace context: a new dict."""
        return dict(self._w3c_fields)

    def log(self, msg: object) -> None:
        """Writes to the function's log."""
        context.log(msg)

    def __repr__(self) -> str:
        return context.describe(self)


attach(__name__)
