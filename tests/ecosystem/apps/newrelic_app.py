import newrelic.agent
from common import work
from newrelic_lambda.lambda_handler import lambda_handler

newrelic.agent.initialize()


@lambda_handler()
def handler(event, context):
    return work(event)
