from aws_embedded_metrics import metric_scope
from common import work


@metric_scope
def handler(event, context, metrics):
    metrics.put_metric("n", 1, "Count")
    return work(event)
