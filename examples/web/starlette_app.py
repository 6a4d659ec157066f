"""A Starlette application behind a function URL, an API or a load balancer."""

import asyncio
import contextlib
import hashlib

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from fastlambda.http import asgi

STARTS = []


@contextlib.asynccontextmanager
async def lifespan(app):
    STARTS.append("start")
    yield {"greeting": "hello"}


async def index(request):
    return JSONResponse({"greeting": request.state.greeting, "starts": len(STARTS)})


async def echo(request):
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": request.query_params.multi_items(),
            "cookies": request.cookies,
            "x-many": request.headers.getlist("x-many"),
            "body": (await request.body()).decode("latin-1"),
        }
    )


async def item(request):
    return PlainTextResponse(request.path_params["name"])


async def cookies(request):
    response = PlainTextResponse("cookies")
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2", path="/here")
    return response


async def many(request):
    response = PlainTextResponse("many", headers={"X-One": "1"})
    response.headers.append("x-many", "a")
    response.headers.append("x-many", "b")
    return response


async def redirect(request):
    return RedirectResponse("/echo?from=redirect", status_code=307)


async def upload(request):
    form = await request.form()
    content = await form["file"].read()
    name = form["file"].filename
    await form.close()
    return JSONResponse({"name": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})


async def stream(request):
    async def chunks():
        for n in range(5):
            yield b"chunk %d\n" % n
            await asyncio.sleep(0)

    return StreamingResponse(chunks(), media_type="text/plain")


async def events(request):
    async def messages():
        for n in range(3):
            yield f"id: {n}\ndata: message {n}\n\n"
            await asyncio.sleep(0)

    return StreamingResponse(messages(), media_type="text/event-stream")


async def broken(request):
    raise ValueError("as asked")


async def large(request):
    return Response(bytes(range(256)) * 4096, media_type="application/octet-stream")


async def nothing(request):
    return Response(status_code=204)


async def teapot(request):
    return PlainTextResponse("short and stout", status_code=418)


async def background(request):
    done = getattr(request.app.state, "done", 0)

    async def work():
        await asyncio.sleep(0.01)
        request.app.state.done = done + 1

    return PlainTextResponse(str(done), background=BackgroundTask(work))


app = Starlette(
    routes=[
        Route("/", index),
        Route("/echo", echo, methods=["GET", "POST", "PUT", "DELETE", "PATCH"]),
        Route("/item/{name}", item),
        Route("/cookies", cookies),
        Route("/many", many),
        Route("/redirect", redirect),
        Route("/upload", upload, methods=["POST"]),
        Route("/stream", stream),
        Route("/events", events),
        Route("/broken", broken),
        Route("/large", large),
        Route("/nothing", nothing),
        Route("/teapot", teapot),
        Route("/background", background),
    ],
    lifespan=lifespan,
)

handler = asgi(app)
streaming_handler = asgi(app, stream=True)
