"""The client of the Runtime API: its methods do what the loop does, and may be replaced."""

from typing import Any

from fastlambda._core import running
from fastlambda.face import attach, face

from .lambda_runtime_marshaller import LambdaMarshaller
from .lambda_runtime_marshaller import to_json as to_json

ERROR_TYPE_HEADER = "Lambda-Runtime-Function-Error-Type"


class InvocationRequest:
    """One event with what came beside it."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__


class LambdaRuntimeClientError(Exception):
    """A request that the Runtime API refused."""

    def __init__(self, endpoint: str, response_code: int, response_body: "bytes | str") -> None:
        self.endpoint = endpoint
        self.response_code = response_code
        self.response_body = response_body
        super().__init__(
            f"Request to Lambda Runtime '{endpoint}' endpoint failed. Reason: '{response_code}'. "
            f"Response body: '{response_body!r}'"
        )


class BaseLambdaRuntimeClient:
    """What the loop does for an invocation, as methods.

    Args:
        lambda_runtime_address: the loop's own in any case.
        use_thread_for_polling_next: the loop polls as it does.
    """

    marshaller = LambdaMarshaller()

    def __init__(self, lambda_runtime_address: "str | None" = None, use_thread_for_polling_next: bool = False) -> None:
        self.lambda_runtime_address = lambda_runtime_address
        self.use_thread_for_polling_next = use_thread_for_polling_next

    def wait_next_invocation(self) -> InvocationRequest:
        """Waits for an event."""
        runtime = running()
        if runtime is None:
            raise RuntimeError("there is no loop in this process")
        inv = runtime.poll()
        arn, context, identity, tenant, invocation = (inv.field(n) for n in (2, 4, 5, 6, 7))
        return InvocationRequest(
            invoke_id=inv.request_id,
            x_amzn_trace_id=inv.trace_id,
            invoked_function_arn=arn,
            deadline_time_in_ms=inv.deadline_ms,
            client_context=context,
            cognito_identity=identity,
            tenant_id=tenant,
            content_type=inv.content_type,
            event_body=inv.body,
            invocation_id=invocation,
        )

    def post_invocation_result(
        self,
        invoke_id: "str | None",
        result_data: Any,
        content_type: str = "application/json",
        invocation_id: "str | None" = None,
    ) -> None:
        """Answers an invocation with a result, bytes or text."""
        current = face()
        if current is not None:
            current.post_now(invoke_id, result_data, content_type)

    def post_invocation_error(
        self, invoke_id: "str | None", error_response_data: str, xray_fault: str, invocation_id: "str | None" = None
    ) -> None:
        """Answers an invocation with an error document."""
        current = face()
        if current is not None:
            current.post_error_now(invoke_id, error_response_data, xray_fault)

    def post_init_error(self, error_response_data: Any, error_type_override: "str | None" = None) -> None:
        """Reports that the function could not be started."""
        current = face()
        if current is not None:
            current.post_init_error_now(error_response_data, b"init", error_type_override)

    def report_restore_error(self, restore_error_data: Any) -> None:
        """Reports that the function could not be restored from a snapshot."""
        current = face()
        if current is not None:
            current.post_init_error_now(restore_error_data, b"restore", None)

    def restore_next(self) -> None:
        """The loop does it by itself."""

    def handle_exception(self, exc: Exception, func_to_retry: Any = None, use_backoff: bool = False) -> None:
        """The loop handles its own."""
        raise exc

    def handle_init_error(self, exc: Exception) -> None:
        """The loop handles its own."""
        raise exc


class LambdaRuntimeClient(BaseLambdaRuntimeClient):
    """The class whose methods tools replace."""


class LambdaMultiConcurrentRuntimeClient(BaseLambdaRuntimeClient):
    """Of AWS's managed instances; the loop has one client for all."""


attach(__name__)
