"""The smallest function: an AWS handler, unchanged.

fastlambda invoke examples.hello.handler '{"name": "world"}'
"""


def handler(event, context):
    return {"message": f"Hello, {event['name']}!", "request_id": context.aws_request_id}
