from common import work
from lambda_decorators import after, before, on_exception


@before(lambda event, context: ({**event, "before": True}, context))
@after(lambda value: [value])
@on_exception(lambda exc: {"caught": str(exc)})
def handler(event, context):
    return work(event)
