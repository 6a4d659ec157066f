import epsagon
from common import work

epsagon.init(token="t", app_name="a", metadata_only=False)


@epsagon.lambda_wrapper
def handler(event, context):
    return work(event)
