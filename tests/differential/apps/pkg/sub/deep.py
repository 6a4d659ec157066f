"""A handler two packages down."""

import os


def handler(event, context):
    if context.aws_request_id == "end-of-batch":
        os._exit(0)
    return __name__
