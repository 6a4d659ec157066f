import os

os.environ.setdefault("ORIG_HANDLER", "otel.original")
from common import work
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.aws_lambda import AwsLambdaInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)


def original(event, context):
    return work(event)


AwsLambdaInstrumentor().instrument()


def handler(event, context):
    return original(event, context)
