"""AWS's loop as tools look for it; what is replaced here takes part in each invocation (fastlambda.face)."""

import importlib
import json
import logging as logging
import os
import sys
import time as time
import traceback
from typing import Any

from fastlambda import logs
from fastlambda._core import Unbuffered as Unbuffered
from fastlambda._core import log_setup, running
from fastlambda.errors import HandlerFault
from fastlambda.face import attach, face
from fastlambda.logs import FramedTelemetryLogSink as FramedTelemetryLogSink
from fastlambda.logs import StandardLogSink as StandardLogSink

from .lambda_context import LambdaContext as LambdaContext
from .lambda_runtime_client import LambdaRuntimeClient as LambdaRuntimeClient
from .lambda_runtime_exception import FaultException as FaultException
from .lambda_runtime_log_utils import _DATETIME_FORMAT as _DATETIME_FORMAT
from .lambda_runtime_log_utils import _JSON_FRAME_TYPES as _JSON_FRAME_TYPES
from .lambda_runtime_log_utils import _TEXT_FRAME_TYPES as _TEXT_FRAME_TYPES
from .lambda_runtime_log_utils import JsonFormatter as JsonFormatter
from .lambda_runtime_log_utils import LogFormat as LogFormat
from .lambda_runtime_marshaller import to_json as to_json

ERROR_LOG_LINE_TERMINATE = "\r"
ERROR_LOG_IDENT = "\u00a0"
AWS_LAMBDA_INITIALIZATION_TYPE = "AWS_LAMBDA_INITIALIZATION_TYPE"
INIT_TYPE_SNAP_START = "snap-start"

LambdaLoggerHandler = logs.class_named("LambdaLoggerHandler")
LambdaLoggerHandlerWithFrameType = logs.class_named("LambdaLoggerHandlerWithFrameType")
LambdaLoggerFilter = logs.class_named("LambdaLoggerFilter")


def __getattr__(name: str) -> Any:
    """The ids of the invocation under way."""
    if name in ("_GLOBAL_AWS_REQUEST_ID", "_GLOBAL_TENANT_ID"):
        setup = log_setup()
        ids = ("", None) if setup is None else setup.ids()
        return (ids[0] or None) if name == "_GLOBAL_AWS_REQUEST_ID" else ids[1]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _get_handler(handler: str) -> Any:
    """The function that a handler string names.

    Raises:
        FaultException: with the platform's type, when it cannot be found.
    """
    from fastlambda.handler import fault

    module_name, _, name = handler.rpartition(".")
    try:
        if not module_name or module_name.partition(".")[0] in sys.builtin_module_names:
            raise LookupError
        return getattr(importlib.import_module(module_name.replace("/", ".")), name)
    except Exception as exc:
        try:
            fault(handler, exc)
        except HandlerFault as named:
            raise FaultException(named.error_type, str(named), named.stack_trace) from exc


def make_error(
    error_message: "str | None",
    error_type: "str | None",
    stack_trace: "list[str] | None",
    invoke_id: "str | None" = None,
) -> "dict[str, Any]":
    """The error document."""
    return {
        "errorMessage": error_message or "",
        "errorType": error_type or "",
        "requestId": invoke_id or "",
        "stackTrace": stack_trace or [],
    }


def replace_line_indentation(line: str, indent_char: str, new_indent_char: str) -> str:
    """A line whose leading characters are replaced one by one."""
    text = line.lstrip(indent_char)
    return new_indent_char * (len(line) - len(text)) + text


def log_error(error_result: "dict[str, Any]", log_sink: Any) -> None:
    """Writes an error document to the function's log."""
    log_sink.log_error(logs.error_lines(log_setup(), error_result))


def handle_event_request(
    lambda_runtime_client: Any,
    request_handler: Any,
    invoke_id: "str | None",
    event_body: Any,
    content_type: str,
    client_context_json: "str | None",
    cognito_identity_json: "str | None",
    invoked_function_arn: "str | None",
    epoch_deadline_time_in_ms: int,
    tenant_id: "str | None",
    log_sink: Any,
    invocation_id: "str | None" = None,
) -> None:
    """One invocation, from the event to the answer."""
    current, runtime = face(), running()
    inv = None if runtime is None else runtime.invocation
    if current is None or inv is None or inv.request_id != invoke_id or current.is_dispatched:
        raise RuntimeError(f"handle_event_request() was called for {invoke_id}, which is not under way")

    def make_context() -> Any:
        return create_lambda_context(
            client_context_json,
            cognito_identity_json,
            epoch_deadline_time_in_ms,
            invoke_id,
            invoked_function_arn,
            tenant_id,
        )

    has_own_context = current.is_replaced("create_lambda_context", "LambdaContext")
    current.dispatch(request_handler, event_body, make_context if has_own_context else None)


def parse_json_header(header: str, name: str) -> Any:
    """The value of a header in JSON."""
    try:
        return json.loads(header)
    except Exception as exc:
        raise FaultException(
            FaultException.LAMBDA_CONTEXT_UNMARSHAL_ERROR, f"Unable to parse {name} JSON: {exc}", None
        ) from None


def create_lambda_context(
    client_context_json: "str | None",
    cognito_identity_json: "str | None",
    epoch_deadline_time_in_ms: int,
    invoke_id: "str | None",
    invoked_function_arn: "str | None",
    tenant_id: "str | None",
) -> Any:
    """A context from an event's headers."""
    return LambdaContext(
        invoke_id,
        parse_json_header(client_context_json, "Client Context") if client_context_json else None,
        parse_json_header(cognito_identity_json, "Cognito Identity") if cognito_identity_json else None,
        epoch_deadline_time_in_ms,
        invoked_function_arn,
        tenant_id,
    )


def build_fault_result(exc_info: Any, msg: "str | None") -> "dict[str, Any]":
    """The error document of what sys.exc_info() says."""
    kind, value, tb = exc_info
    return make_error(msg or str(value), kind.__name__, traceback.format_list(extract_traceback(tb)))


def make_xray_fault(ex_type: str, ex_msg: str, working_dir: str, tb_tuples: Any) -> "dict[str, Any]":
    """The error as X-Ray takes it."""
    stack = [{"label": name, "path": path, "line": line} for path, line, name, _ in tb_tuples]
    return {
        "working_directory": working_dir,
        "exceptions": [{"message": ex_msg, "type": ex_type, "stack": stack}],
        "paths": list({path for path, *_ in tb_tuples}),
    }


def extract_traceback(tb: Any) -> "list[Any]":
    """The frames of a traceback, as plain tuples."""
    return [(frame.filename, frame.lineno, frame.name, frame.line) for frame in traceback.extract_tb(tb)]


def update_xray_env_variable(xray_trace_id: "str | None") -> None:
    """Sets the variable in which X-Ray's trace header is handed on; the loop does it for each event."""
    if xray_trace_id is not None:
        os.environ["_X_AMZN_TRACE_ID"] = xray_trace_id
    else:
        os.environ.pop("_X_AMZN_TRACE_ID", None)


def create_log_sink() -> Any:
    """Where this process logs to."""
    return logs.sink_for(log_setup())


def run(handler: str, lambda_runtime_client: Any) -> None:
    """AWS's loop, in whose place the one of this process runs."""
    raise RuntimeError("awslambdaric cannot be started in a process of fastlambda's, which serves the function already")


attach(__name__)
