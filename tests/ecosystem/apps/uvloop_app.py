import asyncio

import uvloop
from common import work


async def main():
    await asyncio.sleep(0.01)
    return type(asyncio.get_running_loop()).__module__


def handler(event, context):
    return [uvloop.run(main()), work(event)]
