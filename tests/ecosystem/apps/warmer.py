import lambdawarmer
from common import work


@lambdawarmer.warmer
def handler(event, context):
    return work(event)
