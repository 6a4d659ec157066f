import sentry_sdk
from sentry_sdk.integrations.aws_lambda import AwsLambdaIntegration

sentry_sdk.init(integrations=[AwsLambdaIntegration()])


def handler(event, context):
    # The first event: an error at init would be told in other frames by each client, and is a differential case.
    return bool(sentry_sdk.get_client().get_integration(AwsLambdaIntegration))
