"""An ASGI application whose requests do not come back."""

import asyncio
import os
import time

from fastlambda.http import asgi

CANCELLED = []


async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/wait":
        try:
            await asyncio.sleep(3600)
        finally:
            CANCELLED.append("wait")
    if scope["path"] == "/block":
        time.sleep(3600)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    if scope["path"] == "/half":
        await send({"type": "http.response.body", "body": b"half", "more_body": True})
        try:
            await asyncio.sleep(3600)
        finally:
            CANCELLED.append("half")
    await send({"type": "http.response.body", "body": b"%d %s" % (os.getpid(), ",".join(CANCELLED).encode())})


handler = asgi(app, lifespan="off")
streaming_handler = asgi(app, lifespan="off", stream=True)
