"""AWS's client as tools look for it: finds it for them, and leads invocations through what they have replaced in it.

Owns the way from the loop to the modules of aws_client/, which stand in sys.modules under the names of AWS's.
Promises: loaded when somebody looks for one of those names, and not before; an invocation takes the loop's own way
until something has been replaced; each is answered once, whatever the replacements do; what is replaced and not served
is said on stderr once.  Must not know: sockets, how an error is told.
Source: awslambdaric 4.2.2, as its users patch it; docs/observability.md.
"""

import os
import sys

from fastlambda._core import log_setup, running
from fastlambda.errors import FastlambdaError, Fault, complain
from fastlambda.logs import sink_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any

    from fastlambda._core import Invocation, Runtime
    from fastlambda.errors import ErrorReport

NAME = "awslambdaric"

# Fields of an event, by their numbers in rapi.h.
_FUNCTION_ARN, _CLIENT_CONTEXT, _COGNITO_IDENTITY, _TENANT_ID, _INVOCATION_ID = 2, 4, 5, 6, 7

# What takes part in invocations, or is used wherever it stands; other attributes can be replaced without effect.
_SERVED = {
    "bootstrap": {
        *("handle_event_request", "create_lambda_context", "log_error", "make_error", "to_json", "LambdaContext"),
        *("StandardLogSink", "FramedTelemetryLogSink"),
    },
    "lambda_runtime_log_utils": {"_json_encoder"},
}
_SERVED_METHODS = {
    *("post_invocation_result", "post_invocation_error", "post_init_error", "report_restore_error"),
    *("wait_next_invocation", "marshaller"),
}
# Classes whose methods are looked up where the loop, or logging, uses them.
_LIVE = {
    *("StandardLogSink", "FramedTelemetryLogSink", "LambdaLoggerHandler", "LambdaLoggerHandlerWithFrameType"),
    *("LambdaLoggerFilter", "JsonFormatter", "Encoder", "LambdaMarshaller"),
}


# ---- being found --------------------------------------------------------------------------------------------------


def spec() -> "ModuleSpec | None":
    """The spec of `awslambdaric`: our modules first, then those that only the real one has, where it is installed."""
    from importlib.machinery import PathFinder
    from importlib.util import spec_from_file_location

    ours = os.path.join(os.path.dirname(os.path.abspath(__file__)), "aws_client")
    folders = [ours]
    real = PathFinder.find_spec(NAME)
    if real is not None and real.submodule_search_locations is not None:
        folders += real.submodule_search_locations
    return spec_from_file_location(NAME, os.path.join(ours, "__init__.py"), submodule_search_locations=folders)


def attribute_of_program(name: str) -> "Any":
    """What tools find in __main__: `awslambdaricmain` in managed runtimes, `bootstrap` in container images."""
    module = _module("__main__" if name == "awslambdaricmain" else "bootstrap")
    return module.LambdaRuntimeClient if name == "LambdaRuntimeClient" else module


def complain_of_the_real_one() -> None:
    """Says that AWS's client itself was imported before this process was fastlambda's."""
    complain(
        f"{NAME} was imported before fastlambda.main(): what is replaced in it has no effect (docs/observability.md)"
    )


def _module(name: str) -> "Any":
    from importlib import import_module

    return import_module(f"{NAME}.{name}")


def attach(module: str) -> None:
    """Called at the end of each module of aws_client/: from here on the loop asks before each invocation.

    Args:
        module: its name.
    """
    runtime = running()
    if runtime is None or not module.startswith(f"{NAME}."):
        return
    if runtime.face is None:
        runtime.face = Face(runtime)
    runtime.face.remember(module.partition(".")[2], vars(sys.modules[module]))


def face() -> "Face | None":
    """The face of this process's loop; None: nobody has looked for it."""
    runtime = running()
    return None if runtime is None else runtime.face


# ---- the loop's side ----------------------------------------------------------------------------------------------


class Posted:
    """What a marshaller of the user's has made of a result."""

    def __init__(self, data: "bytes | str", content_type: str) -> None:
        self.data = data
        self.content_type = content_type


class Face:
    """Leads one loop's invocations through what has been replaced.

    Args:
        runtime: the loop.
    """

    def __init__(self, runtime: "Runtime") -> None:
        self.runtime = runtime
        self.bootstrap: Any = None  # loaded with the first question: the modules load each other
        self.client: Any = None
        # What was there before anybody could replace it: of a module by its name, of a class by module.name.
        self.originals: dict[str, dict[str, Any]] = {}
        self.classes: dict[str, type] = {}
        self.said: set[str] = set()
        # This invocation only.
        self.is_dispatched = False
        self.is_posting = False
        self.report: Any = None  # the ErrorReport that is being posted
        self.answer: tuple[int, bytes] | None = None  # the server's, to what was posted last

    def remember(self, module: str, names: "dict[str, Any]") -> None:
        """Keeps what a module and its classes are made of."""
        served = _SERVED.get(module, set())
        self.originals[module] = {name: value for name, value in names.items() if callable(value) or name in served}
        for name, value in self.originals[module].items():
            if isinstance(value, type) and value.__module__.startswith((NAME, "fastlambda.")):
                self.originals[f"{module}.{name}"] = dict(vars(value))
                self.classes[f"{module}.{name}"] = value

    def load(self) -> None:
        """Loads the modules that take part, if nobody has."""
        if self.bootstrap is None:
            self.bootstrap = _module("bootstrap")
            kind = self.classes["lambda_runtime_client.LambdaRuntimeClient"]
            self.client = kind(self.runtime.config.runtime_api)

    def is_replaced(self, *names: str) -> bool:
        """Whether one of these attributes of bootstrap is not ours any more."""
        self.load()
        originals = self.originals["bootstrap"]
        return any(getattr(self.bootstrap, name) is not originals[name] for name in names)

    def is_method_replaced(self, name: str) -> bool:
        """Whether a method of the client's class is not ours any more."""
        self.load()
        original = self.originals["lambda_runtime_client.BaseLambdaRuntimeClient"][name]
        return getattr(type(self.client), name, None) is not original or name in vars(self.client)

    def turn(self) -> None:
        """One invocation, from the poll to the answer."""
        runtime = self.runtime
        self.load()
        self.complain()
        self.is_dispatched = False
        if self.is_method_replaced("wait_next_invocation"):
            self.client.wait_next_invocation()
            inv = runtime.invocation
            assert inv is not None
        else:
            inv = runtime.poll()
        if not self.is_replaced("handle_event_request", "create_lambda_context", "LambdaContext") and (
            self.marshaller() is None
        ):
            runtime.dispatch(inv, runtime.call, False)
            return
        try:
            self.bootstrap.handle_event_request(
                self.client,
                runtime.call,
                inv.request_id,
                inv.body,
                inv.content_type or "application/json",
                inv.field(_CLIENT_CONTEXT),
                inv.field(_COGNITO_IDENTITY),
                inv.field(_FUNCTION_ARN),
                inv.deadline_ms,
                inv.field(_TENANT_ID),
                self.sink(),
                inv.field(_INVOCATION_ID),
            )
        except BaseException as exc:
            if not self.is_dispatched:
                runtime.fail(inv, exc)
            elif isinstance(exc, FastlambdaError) or not isinstance(exc, Exception):
                raise
            else:
                self.note(exc, "handle_event_request")
        else:
            if not self.is_dispatched:
                runtime.fail(inv, NotHandled("what has replaced handle_event_request() did not answer this invocation"))

    def dispatch(self, handler: "Any", body: "bytes", make_context: "Any" = None) -> None:
        """What AWS's handle_event_request() does: for whatever has replaced it.

        Args:
            handler: what the loop's handler has become.
            body: of the event; not what came when it was replaced on the way.
            make_context: returns another context; None: the loop's.
        """
        runtime = self.runtime
        inv = runtime.invocation
        assert inv is not None
        self.is_dispatched = True
        marshaller = self.marshaller()
        if marshaller is None and body is not inv.body and runtime.decoder is None:
            marshaller = self.client.marshaller
        if marshaller is None and make_context is None:
            runtime.dispatch(inv, handler, False)
            return
        own = runtime.decoder, runtime.encoder
        content_type = inv.content_type or "application/json"

        def call(event: "Any", context: "Any") -> "Any":
            result = handler(event, context if make_context is None else make_context())
            if marshaller is None or is_stream(result):
                return result
            return Posted(*marshaller.marshal_response(result))

        if marshaller is not None:
            runtime.bind(
                runtime.call, lambda _: marshaller.unmarshal_request(body, content_type), lambda posted: posted
            )
        try:
            runtime.dispatch(inv, call, False)
        finally:
            runtime.bind(runtime.call, *own)

    def marshaller(self) -> "Any":
        """The marshaller, if it is not ours any more; None: it is."""
        if self.runtime.decoder is not None or self.runtime.encoder is not None:
            return None  # a Runner's declared types are its own
        marshaller = self.client.marshaller
        module = sys.modules[f"{NAME}.lambda_runtime_marshaller"]
        return marshaller if module.is_replaced(marshaller) else None

    def post(self, inv: "Invocation", payload: "Any") -> bool:
        """Posts a result through what has replaced post_invocation_result(); False: nothing has.

        Args:
            inv: the invocation.
            payload: what the loop has encoded.
        """
        if not isinstance(payload, Posted):
            if not self.is_method_replaced("post_invocation_result"):
                return False
            if self.is_posting:
                return False  # a stream, on its way back
        data, content_type = _told(payload)
        self.is_posting, self.answer = True, None
        try:
            self.client.post_invocation_result(inv.request_id, data, content_type, inv.field(_INVOCATION_ID))
        except BaseException as exc:
            if self.answer is None and not isinstance(exc, FastlambdaError):
                self.runtime.fail(inv, exc)
            elif isinstance(exc, FastlambdaError) or not isinstance(exc, Exception):
                raise
            else:
                self.note(exc, "post_invocation_result")
        else:
            if self.answer is None:
                self.runtime.fail(inv, NotHandled("what has replaced post_invocation_result() did not post the result"))
        finally:
            self.is_posting = False
        return True

    def post_now(self, inv_id: "str | None", data: "Any", content_type: str) -> None:
        """What AWS's post_invocation_result() does."""
        runtime = self.runtime
        inv = runtime.invocation
        if inv is None or inv.request_id != inv_id or self.answer is not None:
            complain(f"post_invocation_result() was called for {inv_id}, which is not to be answered: ignored")
            return
        self.answer = (0, b"")
        if is_stream(data):
            runtime.answer(inv, data)
            return
        runtime.answer_as(inv, data, b"Content-Type: " + content_type.encode("latin-1") + b"\r\n")

    # -- errors -----------------------------------------------------------------------------------------------------

    def log(self, report: "ErrorReport") -> bool:
        """Logs a report through what has replaced log_error() or make_error(); False: nothing has."""
        if not self.is_replaced("log_error", "make_error", "StandardLogSink", "FramedTelemetryLogSink"):
            return False
        try:
            self.bootstrap.log_error(self.result_of(report), self.sink())
        except Exception as exc:
            self.note(exc, "log_error")
            return False
        return True

    def sink(self) -> "Any":
        """Where the log goes, as AWS's client would make it."""
        setup = log_setup()
        if not self.is_replaced("StandardLogSink", "FramedTelemetryLogSink"):
            return sink_for(setup)
        fd = -1 if setup is None else setup.fd
        return self.bootstrap.StandardLogSink() if fd < 0 else self.bootstrap.FramedTelemetryLogSink(fd)

    def result_of(self, report: "ErrorReport") -> "dict[str, Any]":
        """The error document as the dictionary that AWS's client makes: one for the log and the post."""
        if report.result is None:
            try:
                report.result = self.bootstrap.make_error(
                    report.message, report.error_type, list(report.stack_trace), report.request_id
                )
            except Exception as exc:
                self.note(exc, "make_error")
                report.result = self.originals["bootstrap"]["make_error"](
                    report.message, report.error_type, list(report.stack_trace), report.request_id
                )
        return report.result

    def post_error(
        self, inv: "Invocation | None", report: "ErrorReport", phase: bytes = b""
    ) -> "tuple[int, bytes] | None":
        """Posts a report through what has replaced the method for it; None: nothing has, or it did not post.

        Args:
            inv: the invocation; None: for init and restore.
            report: the report.
            phase: "init" or "restore", without an invocation.
        """
        name = {b"": "post_invocation_error", b"init": "post_init_error", b"restore": "report_restore_error"}[phase]
        if not self.is_method_replaced(name) and report.result is None and not self.is_replaced("to_json"):
            return None
        result = self.result_of(report)
        self.answer, self.report = None, report
        try:
            if inv is None:
                getattr(self.client, name)(result)
            else:
                text = report.body.decode("ascii") if self.is_told(report) else self.bootstrap.to_json(result)
                self.client.post_invocation_error(inv.request_id, text, report.cause, inv.field(_INVOCATION_ID))
        except BaseException as exc:
            if isinstance(exc, FastlambdaError):
                raise
            self.note(exc, name)
        return self.answer

    def is_told(self, report: "ErrorReport") -> bool:
        """Whether the dictionary still says what the report does, and nobody wants to write it in another way."""
        return not self.is_replaced("to_json") and report.result == {
            "errorMessage": report.message,
            "errorType": report.error_type,
            "requestId": report.request_id,
            "stackTrace": report.stack_trace,
        }

    def post_error_now(self, inv_id: "str | None", text: str, cause: str) -> None:
        """What AWS's post_invocation_error() does."""
        report, inv = self.report, self.runtime.invocation
        if inv is None or inv.request_id != inv_id or self.answer is not None:
            complain(f"post_invocation_error() was called for {inv_id}, which is not to be answered: ignored")
            return
        headers = report.headers
        if cause != report.cause:
            line = cause.encode("ascii", "backslashreplace").replace(b"\r", b" ").replace(b"\n", b" ")
            headers = report.short_headers
            if len(line) < 1 << 20:
                headers += b"Lambda-Runtime-Function-XRay-Error-Cause: " + line + b"\r\n"
        body = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
        self.runtime.claim()
        self.answer = self.runtime.channel.post_error(inv, body, headers)
        if self.answer[0] == 431:
            self.answer = self.runtime.channel.post_error(inv, body, report.short_headers)

    def post_init_error_now(self, result: "Any", phase: bytes, error_type: "str | None") -> None:
        """What AWS's post_init_error() and report_restore_error() do."""
        if self.answer is not None:
            return
        report = self.report
        body = report.body
        if isinstance(result, str):
            body = result.encode("utf-8", "backslashreplace")
        elif not self.is_told(report):
            body = self.bootstrap.to_json(result).encode("utf-8", "backslashreplace")
        headers = report.phase_headers or report.headers
        if error_type is not None:
            headers = f"Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: {error_type}\r\n".encode(
                "ascii"
            )
        self.answer = self.runtime.channel.post_error(None, body, headers, phase)

    # -- what is said -----------------------------------------------------------------------------------------------

    def note(self, exc: BaseException, where: str) -> None:
        """Logs what a replacement has raised, where the answer does not depend on it any more."""
        from traceback import format_exception

        complain(f"what has replaced {where}() failed:\n" + "".join(format_exception(exc)).rstrip())

    def complain(self) -> None:
        """Says what has been replaced and has no effect, each once."""
        for name in self.unserved():
            if name not in self.said:
                self.said.add(name)
                complain(f"{NAME}.{name} was replaced, which has no effect under fastlambda (docs/observability.md)")

    def unserved(self) -> "list[str]":
        """What has been replaced and has no effect."""
        found = []
        for key, originals in self.originals.items():
            kind = self.classes.get(key)
            now: Any
            if kind is None:
                served, now = _SERVED.get(key, set()), vars(sys.modules[f"{NAME}.{key}"])
            elif kind.__name__ in _LIVE:
                continue
            else:
                served, now = _SERVED_METHODS, vars(kind)
            found += [
                f"{key}.{name}"
                for name in originals
                if name not in served and now.get(name) is not originals[name] and not name.startswith("__")
            ]
            if kind is not None:  # what hides a method of its base
                found += [
                    f"{key}.{name}"
                    for name in now.keys() - originals.keys() - served
                    if any(hasattr(base, name) for base in kind.__bases__) and not name.startswith("__")
                ]
        return found


def _itself(result: "Any") -> "Any":
    return result


class NotHandled(Fault):
    """What stands in place of a function of AWS's client did not do what that does."""

    error_type = "Runtime.NotHandled"


def is_stream(result: object) -> bool:
    """Whether a result is sent piece by piece, and so is nothing to be marshalled."""
    from fastlambda._core import Stream

    inv = running().invocation  # type: ignore[union-attr]
    return isinstance(result, Stream) or (inv is not None and inv.stream is not None)


def _told(payload: "Any") -> "tuple[Any, str]":
    """What AWS's client would pass on for a payload of the loop's, and its content type."""
    if isinstance(payload, Posted):
        return payload.data, payload.content_type
    if isinstance(payload, bytes):
        return payload.decode("utf-8", "surrogatepass"), "application/json"
    if is_stream(payload):
        return payload, "application/octet-stream"
    raw = getattr(payload, "payload", None)
    return (payload, "application/json") if raw is None else (raw, "application/unknown")
