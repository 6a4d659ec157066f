"""The packages, and what each needs."""

from .side import Case

INTAKE = "http://{intake}"
DSN = {"SENTRY_DSN": "http://key@{intake}/1"}
OTEL = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": INTAKE,
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_PYTHON_ID_GENERATOR": "random",
}
HTTP = {
    "version": "2.0",
    "rawPath": "/a",
    "rawQueryString": "b=1",
    "headers": {"host": "x.example"},
    "requestContext": {
        "http": {"method": "GET", "path": "/a", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
        "stage": "$default",
    },
    "isBase64Encoded": False,
}
REST = {
    "resource": "/{proxy+}",
    "path": "/a",
    "httpMethod": "GET",
    "headers": {"host": "x.example"},
    "multiValueHeaders": {"host": ["x.example"]},
    "queryStringParameters": {"b": "1"},
    "multiValueQueryStringParameters": {"b": ["1"]},
    "pathParameters": {"proxy": "a"},
    "stageVariables": None,
    "requestContext": {"resourcePath": "/a", "httpMethod": "GET", "path": "/a", "identity": {"sourceIp": "127.0.0.1"}},
    "body": None,
    "isBase64Encoded": False,
}
SQS = {
    "Records": [
        {"messageId": name, "body": name, "receiptHandle": "h", "attributes": {}, "messageAttributes": {},
         "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:eu-west-1:1:q", "awsRegion": "eu-west-1"}
        for name in ("good", "bad", "fine")
    ]
}  # fmt: skip

POWERTOOLS = {"POWERTOOLS_SERVICE_NAME": "s", "POWERTOOLS_METRICS_NAMESPACE": "n", "POWERTOOLS_TRACE_DISABLED": "true"}

CASES = [
    Case("sentry", ["sentry-sdk"], env=DSN, in_ci=True, note="`AwsLambdaIntegration`, with its time-out warning"),
    Case("sentry_init", ["sentry-sdk"], [{}], env=DSN, in_ci=True, note="an error at init"),
    Case("structlog_default", ["structlog"], in_ci=True, note="its default configuration"),
    Case("honeybadger_app", ["honeybadger"], env={"HONEYBADGER_ENDPOINT": INTAKE}),
    Case("logfire_app", ["logfire"], env=OTEL, note="spans are flushed before the answer"),
    Case("xoto3_app", ["xoto3"], note="its finalizers know clients 2 and 3 only: off under both"),
    Case("otel", ["opentelemetry-instrumentation-aws-lambda", "opentelemetry-exporter-otlp-proto-http"], env=OTEL),
    Case("marshallers", ["awslambdaric"], in_ci=True, note="AWS's own way to replace the marshaller"),
    Case("powertools_logger", ["aws-lambda-powertools"], env=POWERTOOLS, in_ci=True),
    Case("powertools_metrics", ["aws-lambda-powertools"], env=POWERTOOLS, in_ci=True),
    Case("powertools_tracer", ["aws-lambda-powertools", "aws-xray-sdk"], env=POWERTOOLS, in_ci=True),
    Case("powertools_batch", ["aws-lambda-powertools"], [SQS], env=POWERTOOLS, in_ci=True),
    Case("powertools_parser", ["aws-lambda-powertools", "pydantic"], [{"n": 1}, {"n": "x"}], env=POWERTOOLS),
    Case("powertools_idempotency", ["aws-lambda-powertools"], [{"n": 1}, {"n": 1}, {"n": 2}], env=POWERTOOLS),
    Case("xray", ["aws-xray-sdk"], env={"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR"}, in_ci=True),
    Case(
        "datadog",
        ["datadog-lambda"],
        env={
            "DD_FLUSH_TO_LOG": "true",
            "DD_SERVICE": "s",
            "DD_LAMBDA_HANDLER": "datadog.original",
            "DD_API_KEY": "none",
        },
        handler="datadog_lambda.handler.handler",
        unlogged=r"trace_id",
    ),
    Case(
        "newrelic_app",
        ["newrelic", "newrelic-lambda"],
        env={"NEW_RELIC_SERVERLESS_MODE_ENABLED": "true", "NEW_RELIC_ACCOUNT_ID": "1"},
        unlogged=r"NR_LAMBDA_MONITORING",
        note="its payload line is compressed and not compared",
    ),
    Case(
        "elastic",
        ["elastic-apm"],
        env={
            "ELASTIC_APM_SERVER_URL": INTAKE,
            "ELASTIC_APM_LAMBDA_APM_SERVER": INTAKE,
            "ELASTIC_APM_CENTRAL_CONFIG": "false",
        },
    ),
    Case(
        "lumigo",
        ["lumigo-tracer"],
        env={
            "LUMIGO_TRACER_TOKEN": "t_10faa5e13e7844aaa1234",
            "LUMIGO_TRACER_HOST": "{intake}",
            "LUMIGO_ORIGINAL_HANDLER": "lumigo.original",
        },
        handler="lumigo_tracer.auto_instrument_handler._handler",
        note="through AWS's `_get_handler`",
    ),
    Case("loguru_app", ["loguru"]),
    Case("jsonlogger", ["python-json-logger"]),
    Case("mangum_app", ["mangum"], [HTTP, REST]),
    Case("apig", ["apig-wsgi"], [REST, HTTP]),
    Case("serverless", ["serverless-wsgi"], [REST, HTTP]),
    Case("chalice_app", ["chalice"], [REST]),
    Case("durable", ["aws-durable-execution-sdk-python"], [{"n": 1}], note="refuses an event that is none of its own"),
    Case("aiobotocore_app", ["aiobotocore"], env={"INTAKE": INTAKE}),
    Case("asyncpg_app", ["asyncpg"], note="against a port where nothing listens"),
    Case("sqlalchemy_app", ["SQLAlchemy"], note="SQLite in memory"),
    Case("gevent_app", ["gevent"]),
    Case("uvloop_app", ["uvloop"]),
    Case("processes", ["awslambdaric"], note="multiprocessing: Pipe and Process, fork and spawn", in_ci=True),
    # Found in public code: they wrap handlers, streams, logging or AWS's client.
    Case(
        "codeguru",
        ["codeguru-profiler-agent"],
        env={
            "HANDLER_ENV_NAME_FOR_CODEGURU": "codeguru.original",
            "AWS_CODEGURU_PROFILER_ENABLED": "FALSE",
            "AWS_CODEGURU_PROFILER_GROUP_NAME": "g",
        },
        handler="codeguru_profiler_agent.aws_lambda.lambda_handler.call_handler",
        note="AWS's `_get_handler`",
    ),
    Case("epsagon_app", ["epsagon"], env={"EPSAGON_COLLECTOR_URL": INTAKE, "EPSAGON_TOKEN": "t"}),
    Case(
        "thundra_app",
        ["thundra"],
        env={"CATCHPOINT_APIKEY": "k", "CATCHPOINT_REPORT_REST_BASEURL": INTAKE},
        unlogged=r"^\{",
        note="replaces `sys.stdout`",
    ),
    Case(
        "instana_app",
        ["instana"],
        env={"INSTANA_ENDPOINT_URL": INTAKE, "INSTANA_AGENT_KEY": "k", "INSTANA_DISABLE_EUM": "1"},
    ),
    Case("rollbar_app", ["rollbar"], env={"ROLLBAR_ENDPOINT": INTAKE + "/api/1/"}),
    Case("emf", ["aws-embedded-metrics"], env={"AWS_EMF_ENVIRONMENT": "Lambda"}),
    Case("bugsnag_app", ["bugsnag"], env={"BUGSNAG_ENDPOINT": INTAKE}),
    Case("decorators", ["lambda-decorators"]),
    Case("watchtower_app", ["watchtower"], env={"INTAKE": INTAKE}),
    Case("error_utils", ["aws-error-utils"]),
    Case("warmer", ["lambda-warmer-py"], [{"warmer": True, "concurrency": 1}, {"n": 1}]),
    Case(
        "log_utils",
        ["awslambdaric"],
        env={"AWS_LAMBDA_LOG_FORMAT": "JSON"},
        in_ci=True,
        note="`lambda_runtime_log_utils._json_encoder`, `JsonFormatter`, as functions change them",
    ),
]
