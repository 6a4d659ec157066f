import os

import rollbar
from common import work

rollbar.init("t", "test", endpoint=os.environ["ROLLBAR_ENDPOINT"], handler="blocking")


@rollbar.lambda_function
def handler(event, context):
    return work(event)
