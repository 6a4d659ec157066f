"""A typed Runner: events and results are dataclasses, and `setup` makes what invocations share.

fastlambda invoke examples.orders:Orders '{"order_id": 7, "lines": [{"sku": "tea", "quantity": 2}]}'
"""

from dataclasses import dataclass

from fastlambda import LambdaEvent, Runner

PRICES = {"tea": 350, "cup": 1200}


@dataclass
class Line:
    sku: str
    quantity: int


@dataclass
class Order:
    order_id: int
    lines: list[Line]


@dataclass
class Receipt:
    order_id: int
    total_cents: int


class Orders(Runner[dict[str, int], Order, Receipt]):
    def setup(self, region: str | None) -> dict[str, int]:
        return PRICES  # read once from a database, say

    def run(self, shared: dict[str, int], event: LambdaEvent[Order]) -> Receipt:
        order = event.event
        return Receipt(order.order_id, sum(shared[line.sku] * line.quantity for line in order.lines))
