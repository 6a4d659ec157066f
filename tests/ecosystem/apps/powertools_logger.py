from aws_lambda_powertools import Logger
from common import work

logger = Logger()


@logger.inject_lambda_context(log_event=True)
def handler(event, context):
    logger.info("told")
    return work(event)
