import os

import bugsnag
from common import work

endpoint = os.environ["BUGSNAG_ENDPOINT"]
bugsnag.configure(api_key="0123456789abcdef0123456789abcdef", endpoint=endpoint, session_endpoint=endpoint)


@bugsnag.aws_lambda_handler
def handler(event, context):
    return work(event)
