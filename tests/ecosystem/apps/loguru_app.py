import sys

from common import work
from loguru import logger

logger.remove()
logger.add(sys.stdout, format="{level} {message}")


def handler(event, context):
    logger.info("told")
    return work(event)
