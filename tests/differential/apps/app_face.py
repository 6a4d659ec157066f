"""Replaces a part of AWS's client as tools do, named by the variable PATCH, and shows what goes through it."""

import collections
import decimal
import json
import logging
import os
import sys

PATCH = os.environ.get("PATCH", "")


def bootstrap():
    """Found as the integrations of error trackers find it."""
    if "bootstrap" in sys.modules:
        return sys.modules["bootstrap"]
    main = sys.modules["__main__"]
    if hasattr(main, "awslambdaricmain") and hasattr(main.awslambdaricmain, "bootstrap"):
        return main.awslambdaricmain.bootstrap
    return main.bootstrap


def say(*words):
    print(*words, flush=True)


def wrap_handler():
    module = bootstrap()
    original = module.handle_event_request

    def replaced(client, handler, *args, **kwargs):
        def wrapped(event, context):
            say("wrapped", event, context.aws_request_id)
            try:
                return handler(event, context)
            except Exception as exc:
                say("seen", repr(exc))
                raise

        say("handle", len(args), sorted(kwargs), [type(a).__name__ for a in args[:3]], args[9:])
        return original(client, wrapped, *args, **kwargs)

    module.handle_event_request = replaced


def wrap_posts():
    client = bootstrap().LambdaRuntimeClient

    def wrapper(name):
        original = getattr(client, name)

        def replaced(self, *args, **kwargs):
            say(name, [a if len(str(a)) < 60 else type(a).__name__ for a in args], sorted(kwargs))
            return original(self, *args, **kwargs)

        setattr(client, name, replaced)

    wrapper("post_invocation_result")
    wrapper("post_invocation_error")
    wrapper("post_init_error")


def post_init_error():
    wrap_posts()
    say("exc_info", sys.exc_info())
    raise KeyError("at init")


def rewrite_posts():
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    result, error = LambdaRuntimeClient.post_invocation_result, LambdaRuntimeClient.post_invocation_error

    def post_result(self, invoke_id, data, content_type="application/json", invocation_id=None):
        text = data if isinstance(data, str) else data.decode("latin-1")
        return result(self, invoke_id, text + " ", "text/x-mine", invocation_id)

    def post_error(self, invoke_id, document, cause, invocation_id=None):
        fields = json.loads(document)
        fields["stackTrace"] = ["mine"]
        return error(self, invoke_id, json.dumps(fields), cause, invocation_id)

    LambdaRuntimeClient.post_invocation_result = post_result
    LambdaRuntimeClient.post_invocation_error = post_error


class Marshaller:
    def unmarshal_request(self, request, content_type="application/json"):
        say("unmarshal", request, content_type)
        return request.decode()

    def marshal_response(self, response):
        if isinstance(response, set):
            raise ValueError("not that")
        return (response if isinstance(response, bytes) else f"<r>{response}</r>"), "application/xml"


def marshaller():
    from awslambdaric import bootstrap

    bootstrap.LambdaRuntimeClient.marshaller = Marshaller()


def marshaller_subclass():
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient
    from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

    class Mine(LambdaMarshaller):
        def unmarshal_request(self, request, content_type="application/json"):
            return {"wrapped": super().unmarshal_request(request, content_type)}

        def marshal_response(self, response):
            text, content_type = super().marshal_response(response)
            return text if isinstance(text, bytes) else text.replace("a", "b"), content_type

    LambdaRuntimeClient.marshaller = Mine()


def encoder_default():
    from awslambdaric.lambda_runtime_marshaller import Encoder

    original = Encoder.default

    def default(self, value):
        if isinstance(value, set):
            return sorted(value)
        return original(self, value)

    Encoder.default = default


def log_sink():
    module = bootstrap()

    def log_error(self, lines):
        sys.stdout.write(f"{len(lines)} lines: {lines[0]}\n")

    module.StandardLogSink.log_error = log_error
    module.FramedTelemetryLogSink.log_error = lambda self, lines: self.log(f"{len(lines)} lines: {lines[0]}")


def log_sink_log():
    module = bootstrap()
    original = module.StandardLogSink.log
    module.StandardLogSink.log = lambda self, msg, frame_type=None: original(self, f"<{msg.strip()}>\n")


def log_filter():
    module = bootstrap()
    original = module.LambdaLoggerFilter.filter

    def replaced(self, record):
        kept = original(self, record)
        record.msg = f"{record.aws_request_id} {record.msg}"
        return kept and "secret" not in record.msg

    module.LambdaLoggerFilter.filter = replaced


def log_error():
    module = bootstrap()
    original = module.log_error

    def replaced(result, sink):
        result["errorMessage"] = "scrubbed"
        say("sink", type(sink).__name__, sorted(result))
        return original(result, sink)

    module.log_error = replaced


def make_error():
    module = bootstrap()
    original = module.make_error
    module.make_error = lambda *args: {**original(*args), "stackTrace": [], "more": 1}


def json_encoder():
    from awslambdaric import lambda_runtime_log_utils

    lambda_runtime_log_utils._json_encoder.default = lambda value: f"mine: {type(value).__name__}"


def json_formatter():
    from awslambdaric.lambda_runtime_log_utils import JsonFormatter

    class Mine(JsonFormatter):
        def format(self, record):
            return json.dumps(sorted(json.loads(super().format(record)))) + "\n"

    logging.getLogger().handlers[0].setFormatter(Mine())


def create_context():
    module = bootstrap()
    original = module.create_lambda_context

    def replaced(*args):
        context = original(*args)
        context.mine = "here"
        return context

    module.create_lambda_context = replaced


def poll():
    client = bootstrap().LambdaRuntimeClient
    original = client.wait_next_invocation

    def replaced(self):
        request = original(self)
        say("came", request.invoke_id, request.event_body, request.content_type, request.tenant_id)
        return request

    client.wait_next_invocation = replaced


def by_class_name():
    for module in list(sys.modules.values()):
        client = getattr(module, "LambdaRuntimeClient", None)
        if client is not None and not hasattr(client, "is_wrapped"):
            client.is_wrapped = True
            wrap_posts()


def raising_post():
    def replaced(self, *args):
        raise ValueError("in the post")

    bootstrap().LambdaRuntimeClient.post_invocation_result = replaced


def get_handler():
    from awslambdaric.bootstrap import _get_handler

    say(_get_handler("app_context.handler").__name__)
    for target in ("nodots", "missing.handler", "app_context.nope", "sys.path"):
        try:
            _get_handler(target)
        except Exception as exc:
            say(type(exc).__name__, exc.exception_type, exc.msg)


def faults():
    from awslambdaric.lambda_runtime_exception import FaultException

    global fault
    fault = FaultException


PATCHES = {
    "handler": wrap_handler,
    "posts": wrap_posts,
    "rewritten": rewrite_posts,
    "init": post_init_error,
    "marshaller": marshaller,
    "marshaller-subclass": marshaller_subclass,
    "encoder": encoder_default,
    "sink": log_sink,
    "sink-log": log_sink_log,
    "filter": log_filter,
    "log-error": log_error,
    "make-error": make_error,
    "json-encoder": json_encoder,
    "json-formatter": json_formatter,
    "context": create_context,
    "poll": poll,
    "by-class-name": by_class_name,
    "get-handler": get_handler,
    "fault": faults,
    "late": lambda: None,
    "post-raises": raising_post,
    "both": lambda: (wrap_handler(), wrap_posts()),
}
PATCHES[PATCH]()


def handler(event, context):
    name = context.aws_request_id
    if name == "end-of-batch":
        os._exit(0)
    if name == "fails":
        raise ValueError("this")
    if name == "bytes":
        return b"\x00\xff"
    if name == "set":
        return {"set": {3, 1, 2}}
    if name == "decimal":
        return {"d": decimal.Decimal("1.50"), "n": collections.namedtuple("N", "a b")(1, "a")}
    if name == "logs":
        logging.warning("told %s", 5)
        logging.error("secret")
        logging.warning("more", extra={"set": {1}})
        return None
    if name == "late":
        wrap_handler()
        wrap_posts()
        return "from now on"
    if name == "mine":
        return getattr(context, "mine", None)
    if name == "global":
        return bootstrap()._GLOBAL_AWS_REQUEST_ID
    if name == "fault":
        raise fault("Mine.Type", "a message", ["a frame"])
    return {"event": event, "a": "ä"}
