"""Functions with real packages that an interruption leaves in a state that would harm the next event."""

import asyncio
import http.client
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import fastlambda

LONG = 3600.0


def answer(**more):
    return {"pid": os.getpid(), **more}


# ---- packages that catch everything ------------------------------------------------------------------------------


def work(event, context):
    if event["do"] == "slow":
        time.sleep(LONG)
    return answer()


def datadog():
    from datadog_lambda.wrapper import datadog_lambda_wrapper

    return datadog_lambda_wrapper(work)


def mangum():
    from mangum import Mangum
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def slow(request):
        time.sleep(LONG)

    async def ok(request):
        return JSONResponse(answer())

    adapter = Mangum(Starlette(routes=[Route("/slow", slow), Route("/ok", ok)]), lifespan="off")

    def handler(event, context):
        path = "/" + event["do"]
        about = {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"}
        http_event = {"version": "2.0", "rawPath": path, "rawQueryString": "", "headers": {"host": "x"}}
        response = adapter({**http_event, "requestContext": {"http": about}, "isBase64Encoded": False}, context)
        assert response["statusCode"] == 200 or event["do"] == "slow"
        return json.loads(response["body"]) if response["statusCode"] == 200 else response

    return handler


# ---- state of the process ------------------------------------------------------------------------------------------


def lock():
    kept = threading.Lock()

    def handler(event, context):
        if not kept.acquire(timeout=0.3):
            raise RuntimeError("the lock is held")
        if event["do"] == "slow":
            time.sleep(LONG)
        kept.release()
        return answer()

    return handler


def executor():
    pool = ThreadPoolExecutor(1)

    def handler(event, context):
        if event["do"] == "slow":
            pool.submit(time.sleep, LONG).result()
        return answer(n=pool.submit(int, 1).result(timeout=0.3))

    return handler


def users():
    current = {}

    def handler(event, context):
        seen = current.get("user")
        if event["do"] == "slow":
            current["user"] = "somebody"
            time.sleep(LONG)
        return answer(seen=seen)

    return handler


def connection():
    kept = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "0")), timeout=LONG)

    def handler(event, context):
        kept.request("GET", "/" + event["do"])
        return answer(said=kept.getresponse().read().decode())

    return handler


def psycopg():
    import psycopg

    kept = psycopg.connect(os.environ["DSN"])

    def handler(event, context):
        kept.execute("INSERT INTO rows VALUES (%s)", [1 if event["do"] == "ok" else 2])
        if event["do"] == "slow":
            time.sleep(LONG)
        kept.commit()
        return answer()

    return handler


handler = globals()[os.environ["KIND"]]() if os.environ.get("KIND") in globals() else None


class Asyncpg(fastlambda.Runner):
    async def setup(self, region):
        import asyncpg

        return await asyncpg.create_pool(os.environ["DSN"], min_size=1, max_size=1)

    async def run(self, pool, event):
        do = event.event["do"]
        taken = await pool.acquire(timeout=0.3)
        transaction = taken.transaction()
        await transaction.start()
        await taken.execute("INSERT INTO rows VALUES ($1)", 1 if do == "ok" else 2)
        if do == "slow":
            await asyncio.sleep(LONG)
        await transaction.commit()
        await pool.release(taken)
        return answer()


class AsyncLock(fastlambda.Runner):
    async def setup(self, region):
        return asyncio.Lock()

    async def run(self, lock, event):
        await asyncio.wait_for(lock.acquire(), 0.3)
        if event.event["do"] == "slow":
            await asyncio.sleep(LONG)
        lock.release()
        return answer()


class Uvloop(fastlambda.Runner):
    def setup(self, region):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

    async def run(self, shared, event):
        assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")
        if event.event["do"] == "slow":
            await asyncio.sleep(LONG)
        return answer()


class UvloopOfItsOwn(fastlambda.Runner):
    def run(self, shared, event):
        import uvloop

        async def main():
            if event.event["do"] == "slow":
                await asyncio.sleep(LONG)
            return answer()

        return uvloop.run(main())
