from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.base import BasePersistenceLayer

calls = []


class InMemory(BasePersistenceLayer):
    items = {}

    def _get_record(self, idempotency_key):
        if idempotency_key not in self.items:
            raise IdempotencyItemNotFoundError
        return self.items[idempotency_key]

    def _put_record(self, data_record):
        if data_record.idempotency_key in self.items:
            raise IdempotencyItemAlreadyExistsError
        self.items[data_record.idempotency_key] = data_record

    def _update_record(self, data_record):
        self.items[data_record.idempotency_key] = data_record

    def _delete_record(self, data_record):
        self.items.pop(data_record.idempotency_key, None)


@idempotent(persistence_store=InMemory(), config=IdempotencyConfig(event_key_jmespath="n"))
def handler(event, context):
    calls.append(event)
    return {"calls": "x" * len(calls)}
