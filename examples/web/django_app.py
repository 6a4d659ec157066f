"""A Django application in one file, run as ASGI behind a function URL, an API or a load balancer."""

import hashlib

import django
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse
from django.urls import path

from fastlambda.http import asgi

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"], DEBUG=False, ROOT_URLCONF=__name__, SECRET_KEY="not a secret: an example", USE_TZ=True
    )
    django.setup()


def index(request):
    return JsonResponse({"greeting": "hello", "starts": 1})


async def echo(request):
    return JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "query": [(k, v) for k, values in request.GET.lists() for v in values],
            "cookies": request.COOKIES,
            "x-many": request.headers.get("x-many", "").split(",") if "x-many" in request.headers else [],
            "body": request.body.decode("latin-1"),
        }
    )


def item(request, name):
    return HttpResponse(name, content_type="text/plain")


def cookies(request):
    response = HttpResponse("cookies", content_type="text/plain")
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2", path="/here")
    return response


def many(request):
    return HttpResponse("many", content_type="text/plain", headers={"X-One": "1", "x-many": "a, b"})


def redirect(request):
    response = HttpResponseRedirect("/echo?from=redirect")
    response.status_code = 307
    return response


def upload(request):
    file = request.FILES["file"]
    content = file.read()
    return JsonResponse({"name": file.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})


async def stream(request):
    async def chunks():
        for n in range(5):
            yield b"chunk %d\n" % n

    return StreamingHttpResponse(chunks(), content_type="text/plain")


async def events(request):
    async def messages():
        for n in range(3):
            yield f"id: {n}\ndata: message {n}\n\n"

    return StreamingHttpResponse(messages(), content_type="text/event-stream")


def broken(request):
    raise ValueError("as asked")


def large(request):
    return HttpResponse(bytes(range(256)) * 4096, content_type="application/octet-stream")


def nothing(request):
    return HttpResponse(status=204)


def teapot(request):
    return HttpResponse("short and stout", status=418, content_type="text/plain")


urlpatterns = [
    path("", index),
    path("echo", echo),
    path("item/<str:name>", item),
    path("cookies", cookies),
    path("many", many),
    path("redirect", redirect),
    path("upload", upload),
    path("stream", stream),
    path("events", events),
    path("broken", broken),
    path("large", large),
    path("nothing", nothing),
    path("teapot", teapot),
]

app = get_asgi_application()
handler = asgi(app)
streaming_handler = asgi(app, stream=True)
