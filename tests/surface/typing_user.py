"""A user's project, as type checkers see it: read by mypy --strict and pyright, run by nobody."""

from collections.abc import AsyncIterator, Iterator
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


class Letters(Runner[str, str, Iterator[bytes]]):
    def setup(self, region: str) -> str:
        return region

    def run(self, shared: str, event: LambdaEvent[str]) -> Iterator[bytes]:
        yield event.event.encode()


@fastlambda.streaming
def plain_stream(event: object, context: Context) -> Iterator[str]:
    yield "a"


@fastlambda.streaming(content_type="text/plain", coalesce_bytes=1024, coalesce_ms=5)
async def typed_stream(event: object, context: Context) -> AsyncIterator[bytes]:
    yield b"a"


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
    results: list[list[int]] = fastlambda.exec_test(Orders, TestData([{"order_id": 1}], "eu-central-1"))
    pieces: list[bytes] = fastlambda.exec_test(Letters, {"invocations": ["a"]})
    print(results, pieces, fastlambda.__version__, Config.from_env().region)
    fastlambda.exec(Orders, Config(runtime_api="127.0.0.1:9001"))


async def amain() -> None:
    await fastlambda.exec_async(AsyncOrders)
