"""A user's project, as type checkers see it: read by mypy --strict and pyright, run by nobody."""

from dataclasses import dataclass

import fastlambda
from fastlambda import Config, Context, InvocationTimeout, LambdaEvent, MemoryExhausted, Runner, TestData


@dataclass
class Order:
    order_id: int


class Orders(Runner[dict[str, int], Order, list[int]]):
    def setup(self, region: str | None) -> dict[str, int]:
        return {"a": 1}

    def run(self, shared: dict[str, int], event: LambdaEvent[Order]) -> list[int]:
        order: Order = event.event
        left: int = event.ctx.get_remaining_time_in_millis()
        return [order.order_id, shared["a"], left]


class AsyncOrders(Runner[None, dict[str, object], str]):
    async def setup(self, region: str | None) -> None:
        return None

    async def run(self, shared: None, event: LambdaEvent[dict[str, object]]) -> str:
        return event.ctx.aws_request_id


def handler(event: dict[str, object], context: Context) -> str | None:
    try:
        return context.function_name
    except InvocationTimeout as exc:
        return str(exc.remaining_ms)
    except MemoryExhausted:
        raise


def main() -> None:
    results: list[object] = fastlambda.exec_test(Orders, TestData([{"order_id": 1}], "eu-central-1"))
    print(results, fastlambda.__version__, Config.from_env().region)
    fastlambda.exec(Orders, Config(runtime_api="127.0.0.1:9001"))


async def amain() -> None:
    await fastlambda.exec_async(AsyncOrders)
