from aws_lambda_powertools import Metrics
from common import work

metrics = Metrics()


@metrics.log_metrics(capture_cold_start_metric=True)
def handler(event, context):
    metrics.add_metric("n", "Count", 1)
    return work(event)
