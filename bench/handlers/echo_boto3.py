"""A handler that imports the AWS SDK, without making a client: what every such function pays before its first line."""

import boto3

SESSION = boto3.__version__


def handler(event, context):
    return event
