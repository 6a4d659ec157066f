import sentry_sdk
from common import work
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

sentry_sdk.init(integrations=[AwsLambdaIntegration(timeout_warning=True)], traces_sample_rate=1.0)


def handler(event, context):
    sentry_sdk.capture_message("a message")
    return work(event)
