from aws_lambda_powertools import Tracer
from common import work

tracer = Tracer()


@tracer.capture_lambda_handler
def handler(event, context):
    return work(event)
