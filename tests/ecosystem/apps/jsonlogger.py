import logging

from common import work
from pythonjsonlogger.json import JsonFormatter

logging.getLogger().handlers[0].setFormatter(JsonFormatter("%(levelname)s %(message)s %(aws_request_id)s"))


def handler(event, context):
    logging.warning("told", extra={"n": 1})
    return work(event)
