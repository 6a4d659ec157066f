"""A user's special Runners, as type checkers see them: read by mypy --strict and pyright, run by nobody."""

from dataclasses import dataclass

import fastlambda
from fastlambda.batch import BatchRecord, BatchRunner
from fastlambda.custom_resource import CustomResourceRunner, Resource, ResourceRequest
from fastlambda.rotate import RotateRunner, SecretContainer, Smc


@dataclass
class Order:
    order_id: int


class Orders(BatchRunner[dict[str, int], Order]):
    concurrency = 4

    def setup(self, region: str | None) -> dict[str, int]:
        return {"a": 1}

    async def run_record(self, shared: dict[str, int], record: BatchRecord[Order]) -> None:
        order: Order = record.data
        old: Order | None = record.old
        print(order.order_id + shared["a"], old, record.id, record.ctx.aws_request_id)

    def record_failed(self, shared: dict[str, int], record: BatchRecord[Order], exc: BaseException) -> None:
        print(record, exc)


class Thing(CustomResourceRunner[None, Order]):
    timeout_margin_ms = 5000

    def create(self, shared: None, request: ResourceRequest[Order]) -> Resource:
        return Resource(str(request.properties.order_id), {"a": 1}, no_echo=True)

    async def update(self, shared: None, request: ResourceRequest[Order]) -> None:
        old: Order | None = request.old_properties
        print(old, request.physical_id)

    def delete(self, shared: None, request: ResourceRequest[Order]) -> None:
        print(request.logical_id)


class Rotation(RotateRunner[str, Order]):
    def setup(self, region: str | None) -> str:
        return "shared"

    def create(self, shared: str, secret_cur: SecretContainer[Order], smc: Smc) -> SecretContainer[Order]:
        new = secret_cur.copy()
        new.secret.order_id = len(smc.generate_new_password(punctuation=True, length=20, exclude="/"))
        return new

    async def set(self, shared: str, secret_cur: SecretContainer[Order], secret_new: SecretContainer[Order]) -> None:
        print(shared.upper(), secret_cur.secret.order_id)

    def test(self, shared: str, secret_new: SecretContainer[Order]) -> None:
        print(secret_new.secret.order_id)


def main() -> None:
    fastlambda.exec(Orders)
    fastlambda.exec(Thing)
    fastlambda.exec(Rotation)
