from common import work
from xoto3.lam import finalize


def handler(event, context):
    return [work(event), finalize.__name__]
