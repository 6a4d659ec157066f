import structlog
from common import work

log = structlog.get_logger()


def handler(event, context):
    log.info("told", n=1)
    return work(event)
