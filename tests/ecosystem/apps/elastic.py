from common import work
from elasticapm import capture_serverless


@capture_serverless
def handler(event, context):
    return work(event)
