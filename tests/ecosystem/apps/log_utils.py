import datetime
import logging

from awslambdaric import lambda_runtime_log_utils
from common import work

lambda_runtime_log_utils._json_encoder.default = lambda value: f"<{type(value).__name__}>"


class Formatter(lambda_runtime_log_utils.JsonFormatter):
    def format(self, record):
        return super().format(record).replace('"told"', '"TOLD"')


logging.getLogger().handlers[0].setFormatter(Formatter())


def handler(event, context):
    logging.warning("told", extra={"when": datetime.date(2026, 1, 2)})
    return work(event)
