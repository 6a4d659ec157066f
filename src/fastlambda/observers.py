"""Tools that watch the function: they are told of an interruption, and what they hold leaves before the process ends.

Each is known by its module, and only one that the function has loaded itself is touched.  Promises: whatever a tool
does, the report is not kept by it.  Must not know: the loop, the guard.
Source: the tools' own documentation of errors and flushes: OpenTelemetry, Sentry, Datadog, New Relic, Elastic APM.
AWS X-Ray's SDK (Powertools) sends a segment when it is closed, with the error that closed it.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

# Modules whose locks may be held where the signal came: a span is not touched from inside of them.
_OWN = ("opentelemetry.", "ddtrace.", "sentry_sdk.", "newrelic.", "elasticapm.", "threading")


def note(exc: BaseException, frame: "FrameType | None") -> None:
    """Marks the spans that are open where the handler is: a swallowed interruption would leave them without an error.

    Called in the handler's own context.
    """
    if frame is not None and (frame.f_globals.get("__name__") or "").startswith(_OWN):
        return
    for module, mark in _MARKS:
        if module in sys.modules:
            try:
                mark(sys.modules[module], exc)
            except Exception:  # of the tool's: the error is what has to be told
                pass


def flushes(within_ms: int) -> "list[Callable[[], object]]":
    """What sends out what the tools hold; each call returns within about `within_ms` milliseconds, if it can."""
    found: list[Callable[[], object]] = []
    for module, flush in _FLUSHES:
        if module in sys.modules:
            found.append(lambda m=sys.modules[module], f=flush: f(m, within_ms))  # type: ignore[misc]
    return found


def _mark_opentelemetry(trace: "Any", exc: BaseException) -> None:
    span = trace.get_current_span()
    if span.is_recording():
        span.record_exception(exc)
        span.set_status(trace.Status(trace.StatusCode.ERROR, f"{type(exc).__name__}: {exc}"))


def _mark_datadog(ddtrace: "Any", exc: BaseException) -> None:
    tracer = sys.modules["ddtrace.trace"].tracer if "ddtrace.trace" in sys.modules else ddtrace.tracer
    span, root = tracer.current_span(), tracer.current_root_span()
    for one in {id(s): s for s in (span, root) if s is not None}.values():
        one.set_exc_info(type(exc), exc, exc.__traceback__)


def _mark_sentry(sentry: "Any", exc: BaseException) -> None:
    sentry.capture_exception(exc)


def _mark_newrelic(agent: "Any", exc: BaseException) -> None:
    agent.notice_error(error=(type(exc), exc, exc.__traceback__))


def _mark_elastic(elastic: "Any", exc: BaseException) -> None:
    client = elastic.get_client()
    if client is not None:
        client.capture_exception(exc_info=(type(exc), exc, exc.__traceback__), handled=False)
        elastic.set_transaction_outcome("failure", override=False)


def _flush_traces(trace: "Any", within_ms: int) -> None:
    _force_flush(trace.get_tracer_provider(), within_ms)


def _flush_metrics(metrics: "Any", within_ms: int) -> None:
    _force_flush(metrics.get_meter_provider(), within_ms)


def _flush_logs(logs: "Any", within_ms: int) -> None:
    _force_flush(logs.get_logger_provider(), within_ms)


def _force_flush(provider: "Any", within_ms: int) -> None:
    if hasattr(provider, "force_flush"):
        provider.force_flush(within_ms)


def _flush_datadog(ddtrace: "Any", within_ms: int) -> None:
    (sys.modules["ddtrace.trace"].tracer if "ddtrace.trace" in sys.modules else ddtrace.tracer).flush()


def _flush_sentry(sentry: "Any", within_ms: int) -> None:
    sentry.flush(timeout=within_ms / 1000)


def _flush_newrelic(agent: "Any", within_ms: int) -> None:
    agent.shutdown_agent(timeout=within_ms / 1000)


def _flush_elastic(elastic: "Any", within_ms: int) -> None:
    client = elastic.get_client()
    if client is not None:
        client._transport.flush()


_MARKS = (
    ("opentelemetry.trace", _mark_opentelemetry),
    ("ddtrace", _mark_datadog),
    ("sentry_sdk", _mark_sentry),
    ("newrelic.agent", _mark_newrelic),
    ("elasticapm", _mark_elastic),
)
_FLUSHES = (
    ("opentelemetry.trace", _flush_traces),
    ("opentelemetry.metrics", _flush_metrics),
    ("opentelemetry._logs", _flush_logs),
    ("ddtrace", _flush_datadog),
    ("sentry_sdk", _flush_sentry),
    ("newrelic.agent", _flush_newrelic),
    ("elasticapm", _flush_elastic),
)
