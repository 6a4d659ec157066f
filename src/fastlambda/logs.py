"""Logging as functions under AWS's client see it.

Owns the set-up of the logging module, the two sinks, and the report of an uncaught error.  Promises: nothing is
configured before somebody imports `logging`; a report is written without importing it.  Must not know: the loop.
Source: Runtime API contract, "Logging"; docs/logging.md.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

# Frame types of the telemetry descriptor: the low bit marks text, the level stands in the bits above it.
_FRAME = 0xA55A0002
_IS_TEXT = 1
_LEVEL_BITS = {0: 0, 10: 2, 20: 3, 30: 4, 40: 5, 50: 6}

_DATE = "%Y-%m-%dT%H:%M:%S"

# What every record has, or we add: whatever else is in a record came by `extra`.  `taskName` is not in it: the
# client that this follows does not know it.
_OWN_FIELDS = frozenset(
    {
        *("name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module", "exc_info", "exc_text"),
        *("stack_info", "lineno", "funcName", "created", "msecs", "relativeCreated", "thread", "threadName"),
        *("processName", "process", "aws_request_id", "tenant_id", "_frame_type"),
    }
)


def frame_type(level: int, is_text: bool) -> bytes:
    """The four bytes that a frame begins with.

    Args:
        level: 0, 10, ... 50; 0 for what has no level.
        is_text: False for JSON.
    """
    return (_FRAME + (_LEVEL_BITS.get(level, 0) << 2) + (_IS_TEXT if is_text else 0)).to_bytes(4, "big")


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def one_line(text: str) -> str:
    """An entry as one line: the platform splits at a line feed only, and shows a carriage return as a line break.

    What follows a line feed in a message would be an entry of its own, a REPORT say.
    """
    return text.rstrip("\r\n").replace("\r\n", "\r").replace("\n", "\r") + "\n"


class StandardLogSink:
    """Log records go to standard output, as they are."""

    def log(self, msg: str, frame_type: "bytes | None" = None) -> None:
        _print(msg)

    def log_error(self, message_lines: "list[str]") -> None:
        """One event in the log, however many lines: the platform splits at a line feed only.

        It gets there whatever the stream's encoding: what that cannot write is escaped.
        """
        text = one_line("\n".join(message_lines))
        try:
            _print(text)
        except UnicodeError:
            encoding = getattr(sys.stdout, "encoding", None) or "ascii"
            _print(text.encode(encoding, "backslashreplace").decode(encoding))

    def __enter__(self) -> "StandardLogSink":
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class FramedTelemetryLogSink:
    """Each log record is one frame, written at once, on the descriptor that the platform gave."""

    def __init__(self, fd: int) -> None:
        self.fd = int(fd)

    def log(self, msg: str, frame_type: "bytes | None" = None) -> None:
        from os import write
        from time import time_ns

        from fastlambda._core import log_setup

        setup = log_setup()
        if setup is not None and setup.fd == self.fd and not setup.has_telemetry():
            # User code has closed it, and its number may be another file's.
            _print(one_line(msg))
            return
        text = msg.encode("utf-8", "backslashreplace")
        head = (frame_type or _UNLEVELED) + len(text).to_bytes(4, "big") + (time_ns() // 1000).to_bytes(8, "big")
        frame = head + text
        while frame:
            frame = frame[write(self.fd, frame) :]

    def log_error(self, message_lines: "list[str]") -> None:
        """One frame of the level of an error."""
        from fastlambda._core import log_setup

        self.log("\n".join(message_lines), frame_type(40, not is_json(log_setup())))

    def __enter__(self) -> "FramedTelemetryLogSink":
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


_UNLEVELED = frame_type(0, True)


def is_json(setup: "Any") -> bool:
    """Whether records are JSON objects.

    Args:
        setup: the core's LogSetup; None outside of Lambda's loop.
    """
    return setup is not None and (setup.runtime.config.log_format or "").upper() == "JSON"


def sink_for(setup: "Any") -> "StandardLogSink | FramedTelemetryLogSink":
    """Where this process logs to.

    Args:
        setup: the core's LogSetup; None outside of Lambda's loop.
    """
    if setup is not None and setup.fd >= 0:
        return FramedTelemetryLogSink(setup.fd)
    return StandardLogSink()


def write(text: str) -> None:
    """Writes text as it is: where the root logger's handler does, or would."""
    logging = sys.modules.get("logging")
    if logging is not None:
        for handler in logging.getLogger().handlers:
            if hasattr(handler, "log_sink"):
                handler.log_sink.log(text)
                return
    from fastlambda._core import log_setup

    sink_for(log_setup()).log(text)


# ---- the report of an uncaught error ------------------------------------------------------------------------------


def log_error(report: "Any") -> None:
    """Writes a report to the function's log; a broken stream must not end the loop.

    Args:
        report: an errors.ErrorReport.
    """
    from fastlambda._core import log_setup

    setup = log_setup()
    result = {"errorType": report.error_type, "errorMessage": report.message, "stackTrace": report.stack_trace}
    try:
        sink_for(setup).log_error(error_lines(setup, result, report.body.decode("ascii")))
    except Exception:  # the stream may be one of the user's
        pass


def error_lines(setup: "Any", result: "dict[str, Any]", document: "str | None" = None) -> "list[str]":
    """The lines that tell an error in the log's format.

    Args:
        setup: the core's LogSetup; None outside of Lambda's loop.
        result: the error document's values.
        document: the same as JSON text; None: it is made from `result`.
    """
    if is_json(setup):
        from time import gmtime, strftime

        if document is None:
            from json import dumps

            document = dumps(result, default=str)
        stamp = strftime(_DATE + "Z", gmtime())
        return [f'{{"timestamp": "{stamp}", "level": "ERROR", {document[1:]}']
    error_type, message, stack_trace = (result.get(key) for key in ("errorType", "errorMessage", "stackTrace"))
    named = (error_type or "") + (":" if error_type and message else "")
    lines = [" ".join(part for part in ("[ERROR]", named, message) if part)]
    if stack_trace is not None:
        lines.append("Traceback (most recent call last):")
        for entry in stack_trace:
            lines += [_indented(line) for line in entry.splitlines()] or [""]
    return lines


def _indented(line: str) -> str:
    """Leading spaces as no-break spaces, which the platform's log viewer keeps."""
    text = line.lstrip(" ")
    return "\u00a0" * (len(line) - len(text)) + text


# ---- the logging module -------------------------------------------------------------------------------------------


def spec_for_logging(setup: "Any") -> "Any":
    """The module spec of `logging`, whose loader configures it right after it has run.

    Args:
        setup: the core's LogSetup.
    """
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        spec = find_spec("logging", None, None) if find_spec else None
        if spec is not None:
            break
    else:
        return None
    loader = spec.loader

    def exec_module(module: "ModuleType") -> None:
        del loader.exec_module
        loader.exec_module(module)
        configure(module, setup)

    loader.exec_module = exec_module
    return spec


# What configure() has made, by the names that AWS's client has for them.
_CLASSES: "dict[str, Any]" = {}


def class_named(name: str) -> "Any":
    """A class that configure() has made: logging must have been imported."""
    return _CLASSES[name]


def configure(logging: "Any", setup: "Any") -> None:
    """Gives the root logger its handler.

    Args:
        logging: the module.
        setup: the core's LogSetup.
    """
    from time import gmtime

    sink = sink_for(setup)
    is_text = not is_json(setup)
    level = setup.runtime.config.log_level or ""
    has_levels = not is_text or bool(level)

    class LambdaLoggerFilter(logging.Filter):  # type: ignore[misc]
        """Puts the ids of the invocation under way on every record."""

        def filter(self, record: "Any") -> bool:
            record.aws_request_id, record.tenant_id = setup.ids()
            return True

    class LambdaLoggerHandler(logging.Handler):  # type: ignore[misc]
        """Passes records on to the sink."""

        def __init__(self, log_sink: "Any") -> None:
            super().__init__()
            self.log_sink = log_sink

        def emit(self, record: "Any") -> None:
            self.log_sink.log(self.format(record))

    class LambdaLoggerHandlerWithFrameType(logging.Handler):  # type: ignore[misc]
        """The same with the record's level beside it."""

        def __init__(self, log_sink: "Any") -> None:
            super().__init__()
            self.log_sink = log_sink

        def emit(self, record: "Any") -> None:
            text = self.format(record)
            kind = getattr(record, "_frame_type", None) or frame_type(_floor(record.levelno), True)
            self.log_sink.log(text, frame_type=kind)

    class JsonFormatter(logging.Formatter):  # type: ignore[misc]
        """One JSON object for each record."""

        def __init__(self) -> None:
            super().__init__(datefmt=_DATE + "Z")

        def format(self, record: "Any") -> str:
            return _json_line(self, logging, record)

    logging.Formatter.converter = gmtime
    for made in (LambdaLoggerFilter, LambdaLoggerHandler, LambdaLoggerHandlerWithFrameType, JsonFormatter):
        _CLASSES[made.__name__] = made
    handler: Any = (LambdaLoggerHandlerWithFrameType if has_levels else LambdaLoggerHandler)(sink)
    if is_text:
        layout = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
        is_framed = setup.fd >= 0

        class Formatter(logging.Formatter):  # type: ignore[misc]
            """One line for each record, where nothing else tells one from the next."""

            def format(self, record: "Any") -> str:
                text = str(super().format(record))
                return text if is_framed else one_line(text)

        handler.setFormatter(Formatter(layout, _DATE))
    else:
        handler.setFormatter(JsonFormatter())
    handler.addFilter(LambdaLoggerFilter())
    root = logging.getLogger()
    level = {"TRACE": "DEBUG"}.get(level, level).upper()
    if level in logging._nameToLevel:
        root.setLevel(level)
    root.addHandler(handler)


def _floor(levelno: int) -> int:
    """A level as one of the six that the platform knows."""
    return min(50, max(0, levelno)) // 10 * 10


def _json_line(formatter: "Any", logging: "Any", record: "Any") -> str:
    from json import JSONEncoder

    record.levelno = _floor(record.levelno)
    record.levelname = logging.getLevelName(record.levelno)
    record._frame_type = frame_type(record.levelno, False)
    is_object = isinstance(record.msg, dict) and not record.args
    line = {
        "timestamp": formatter.formatTime(record, formatter.datefmt),
        "level": record.levelname,
        "message": record.msg if is_object else record.getMessage(),
        "logger": record.name,
        "stackTrace": None,
        "errorType": None,
        "errorMessage": None,
        "requestId": getattr(record, "aws_request_id", None),
        "location": None,
    }
    if record.exc_info:
        from traceback import format_tb

        kind, value, tb = record.exc_info
        line["stackTrace"] = format_tb(tb)
        if kind is not None:  # exc_info=True where nothing was raised
            line["errorType"] = kind.__name__
            line["errorMessage"] = str(value)
        line["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
    if getattr(record, "tenant_id", None) is not None:
        line["tenantId"] = record.tenant_id
    for key, value in record.__dict__.items():
        if key not in _OWN_FIELDS and key not in line:
            line[key] = value
    known = {key: value for key, value in line.items() if value is not None}
    utils = sys.modules.get("awslambdaric.lambda_runtime_log_utils")  # whose encoder may have been changed
    encoder = getattr(utils, "_json_encoder", None) or JSONEncoder(ensure_ascii=False, default=str)
    return str(encoder.encode(known)) + "\n"
