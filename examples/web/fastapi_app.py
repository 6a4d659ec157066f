"""A FastAPI application behind a function URL, an API or a load balancer."""

import asyncio
import contextlib
import hashlib
from typing import Annotated

from fastapi import BackgroundTasks, FastAPI, Request, Response, UploadFile
from fastapi.responses import PlainTextResponse, RedirectResponse, StreamingResponse

from fastlambda.http import asgi

STARTS = []


@contextlib.asynccontextmanager
async def lifespan(app):
    STARTS.append("start")
    yield {"greeting": "hello"}


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def index(request: Request) -> dict[str, object]:
    return {"greeting": request.state.greeting, "starts": len(STARTS)}


@app.api_route("/echo", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
async def echo(request: Request) -> dict[str, object]:
    return {
        "method": request.method,
        "path": request.url.path,
        "query": request.query_params.multi_items(),
        "cookies": request.cookies,
        "x-many": request.headers.getlist("x-many"),
        "body": (await request.body()).decode("latin-1"),
    }


@app.get("/item/{name}", response_class=PlainTextResponse)
def item(name: str) -> str:
    return name


@app.get("/cookies", response_class=PlainTextResponse)
async def cookies(response: Response) -> str:
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2", path="/here")
    return "cookies"


@app.get("/many", response_class=PlainTextResponse)
async def many(response: Response) -> str:
    response.headers["X-One"] = "1"
    response.headers.append("x-many", "a")
    response.headers.append("x-many", "b")
    return "many"


@app.get("/redirect")
async def redirect() -> RedirectResponse:
    return RedirectResponse("/echo?from=redirect", status_code=307)


@app.post("/upload")
async def upload(file: Annotated[UploadFile, "the file"]) -> dict[str, object]:
    content = await file.read()
    return {"name": file.filename, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks():
        for n in range(5):
            yield b"chunk %d\n" % n
            await asyncio.sleep(0)

    return StreamingResponse(chunks(), media_type="text/plain")


@app.get("/events")
async def events() -> StreamingResponse:
    async def messages():
        for n in range(3):
            yield f"id: {n}\ndata: message {n}\n\n"
            await asyncio.sleep(0)

    return StreamingResponse(messages(), media_type="text/event-stream")


@app.get("/broken")
async def broken() -> None:
    raise ValueError("as asked")


@app.get("/large")
async def large() -> Response:
    return Response(bytes(range(256)) * 4096, media_type="application/octet-stream")


@app.get("/nothing", status_code=204)
async def nothing() -> None:
    return None


@app.get("/teapot", status_code=418, response_class=PlainTextResponse)
async def teapot() -> str:
    return "short and stout"


@app.get("/background", response_class=PlainTextResponse)
async def background(request: Request, tasks: BackgroundTasks) -> str:
    done = getattr(request.app.state, "done", 0)

    async def work() -> None:
        await asyncio.sleep(0.01)
        request.app.state.done = done + 1

    tasks.add_task(work)
    return str(done)


handler = asgi(app)
streaming_handler = asgi(app, stream=True)
