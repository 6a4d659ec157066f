"""A function that OpenTelemetry and Sentry watch, and that swallows its interruption; what they send goes to a file."""

import contextlib
import json
import os
import time

import sentry_sdk
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from sentry_sdk.transport import Transport


def tell(**what):
    with open(os.environ["OUT"], "a") as file:
        file.write(json.dumps(what) + "\n")


class Exporter(SpanExporter):
    def export(self, spans):
        for span in spans:
            tell(span=span.name, status=span.status.status_code.name)
        return SpanExportResult.SUCCESS

    def shutdown(self):
        pass


class Sent(Transport):
    def capture_envelope(self, envelope):
        tell(event=[value["type"] for value in envelope.get_event()["exception"]["values"]])

    def flush(self, timeout, callback=None):
        tell(flushed=True)


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(Exporter(), schedule_delay_millis=3_600_000))
trace.set_tracer_provider(provider)
sentry_sdk.init(dsn="http://key@127.0.0.1:1/1", transport=Sent)


def handler(event, context):
    if event["do"] == "pid":
        return os.getpid()
    with trace.get_tracer("test").start_as_current_span("work"), contextlib.suppress(BaseException):
        time.sleep(3600)
