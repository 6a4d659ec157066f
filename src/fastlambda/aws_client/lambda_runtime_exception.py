"""The errors that have a type of the platform's."""

from fastlambda.errors import HandlerFault


class FaultException(HandlerFault):
    """An error that is reported with its own type and without a stack, as AWS's client knows it.

    Args:
        exception_type: the type that is reported.
        msg: the message.
        trace: entries of the stack trace.
    """

    MARSHAL_ERROR = "Runtime.MarshalError"
    UNMARSHAL_ERROR = "Runtime.UnmarshalError"
    USER_CODE_SYNTAX_ERROR = "Runtime.UserCodeSyntaxError"
    HANDLER_NOT_FOUND = "Runtime.HandlerNotFound"
    IMPORT_MODULE_ERROR = "Runtime.ImportModuleError"
    BUILT_IN_MODULE_CONFLICT = "Runtime.BuiltInModuleConflict"
    MALFORMED_HANDLER_NAME = "Runtime.MalformedHandlerName"
    BEFORE_SNAPSHOT_ERROR = "Runtime.BeforeSnapshotError"
    AFTER_RESTORE_ERROR = "Runtime.AfterRestoreError"
    LAMBDA_CONTEXT_UNMARSHAL_ERROR = "Runtime.LambdaContextUnmarshalError"
    LAMBDA_RUNTIME_CLIENT_ERROR = "Runtime.LambdaRuntimeClientError"

    def __init__(self, exception_type: str, msg: str, trace: "list[str] | None" = None) -> None:
        super().__init__(exception_type, msg, trace)
        self.exception_type = exception_type
        self.msg = msg
        self.trace = trace
