"""Functions that replace parts of AWS's client badly, and ones whose errors are hard to write."""

import os
import sys

MODE = os.environ.get("MODE", "")


def patch():
    from awslambdaric import bootstrap
    from awslambdaric.lambda_context import LambdaContext

    client = bootstrap.LambdaRuntimeClient
    handle, post = bootstrap.handle_event_request, client.post_invocation_result
    post_error = client.post_invocation_error

    def raising_before(self, *args):
        raise ValueError("before the post")

    def raising_after(self, *args):
        post(self, *args)
        raise ValueError("after the post")

    def twice(self, *args):
        post(self, *args)
        post(self, *args)

    def error_raising_before(self, *args):
        raise ValueError("before the error")

    def error_twice(self, *args):
        post_error(self, *args)
        post_error(self, *args)

    def handle_raising_before(*args):
        raise ValueError("before handling")

    def handle_raising_after(*args):
        handle(*args)
        raise ValueError("after handling")

    def handle_twice(*args):
        handle(*args)
        handle(*args)

    def exits(self, *args):
        post(self, *args)
        sys.exit(5)

    def nothing(*args):
        return None

    {
        "raising-before": lambda: setattr(client, "post_invocation_result", raising_before),
        "raising-after": lambda: setattr(client, "post_invocation_result", raising_after),
        "twice": lambda: setattr(client, "post_invocation_result", twice),
        "not-posted": lambda: setattr(client, "post_invocation_result", nothing),
        "exits": lambda: setattr(client, "post_invocation_result", exits),
        "error-raising-before": lambda: setattr(client, "post_invocation_error", error_raising_before),
        "error-twice": lambda: setattr(client, "post_invocation_error", error_twice),
        "error-not-posted": lambda: setattr(client, "post_invocation_error", nothing),
        "handle-raising-before": lambda: setattr(bootstrap, "handle_event_request", handle_raising_before),
        "handle-raising-after": lambda: setattr(bootstrap, "handle_event_request", handle_raising_after),
        "handle-twice": lambda: setattr(bootstrap, "handle_event_request", handle_twice),
        "not-handled": lambda: setattr(bootstrap, "handle_event_request", nothing),
        "log-raises": lambda: setattr(bootstrap, "log_error", raising_before),
        "make-error-raises": lambda: setattr(bootstrap, "make_error", raising_before),
        "unserved": lambda: (
            setattr(bootstrap, "run", nothing),
            setattr(LambdaContext, "log", nothing),
            setattr(client, "restore_next", nothing),
        ),
        "slow-post": lambda: setattr(client, "post_invocation_result", slow_post(post)),
    }.get(MODE, lambda: None)()


def slow_post(post):
    import time

    def replaced(self, *args):
        time.sleep(20)
        post(self, *args)

    return replaced


if MODE:
    patch()


def handler(event, context):
    if event == "fail":
        raise ValueError("the handler's")
    return event


def stream(event, context):
    with context.response_stream() as stream:
        stream.write(b"one ")
        stream.write(b"two")


def modules(event, context):
    return sorted(name for name in sys.modules if name.startswith(("awslambdaric", "fastlambda")))


def fail_with(event, context):
    raise ValueError(event)


def submodule(event, context):
    import xml

    return xml.etree if event == "package" else xml.nothing
