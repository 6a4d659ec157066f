"""Orders from an SQS queue: a message that cannot be handled comes again, the others of its batch do not.

fastlambda invoke examples.batch_orders:Orders @batch.json

The event source mapping needs `FunctionResponseTypes: [ReportBatchItemFailures]`.
"""

from dataclasses import dataclass

from fastlambda.batch import BatchRecord, BatchRunner

PRICES = {"tea": 350, "cup": 1200}


@dataclass
class Order:
    order_id: int
    sku: str
    quantity: int


class Orders(BatchRunner[dict[str, int], Order]):
    def setup(self, region: str | None) -> dict[str, int]:
        return PRICES  # read once from a database, say

    def run_record(self, shared: dict[str, int], record: BatchRecord[Order]) -> None:
        order = record.data
        print(f"order {order.order_id}: {shared[order.sku] * order.quantity}")
