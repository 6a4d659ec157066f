import instana  # noqa: F401
from common import work


def handler(event, context):
    return work(event)
