import asyncio

import asyncpg
from common import work


async def connect():
    try:
        await asyncpg.connect(host="127.0.0.1", port=1, user="u", timeout=2)
    except OSError as exc:
        return type(exc).__name__


def handler(event, context):
    return [asyncio.run(connect()), work(event)]
