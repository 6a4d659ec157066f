import asyncio
import os

from aiobotocore.session import get_session
from common import work


async def ask():
    async with get_session().create_client("dynamodb", endpoint_url=os.environ["INTAKE"]) as client:
        await client.list_tables()


def handler(event, context):
    asyncio.run(ask())
    return work(event)
