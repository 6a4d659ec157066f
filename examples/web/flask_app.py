"""A Flask application behind a function URL, an API or a load balancer."""

import hashlib

from flask import Flask, Response, jsonify, redirect, request

from fastlambda.http import wsgi

app = Flask(__name__)


@app.get("/")
def index():
    return jsonify(greeting="hello", starts=1)


@app.route("/echo", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
def echo():
    return jsonify(
        {
            "method": request.method,
            "path": request.script_root + request.path,
            "query": list(request.args.items(multi=True)),
            "cookies": request.cookies,
            "x-many": request.headers.get("x-many", "").split(",") if "x-many" in request.headers else [],
            "body": request.get_data().decode("latin-1"),
        }
    )


@app.get("/item/<name>")
def item(name):
    return Response(name, mimetype="text/plain")


@app.get("/cookies")
def cookies():
    response = Response("cookies", mimetype="text/plain")
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2", path="/here")
    return response


@app.get("/many")
def many():
    response = Response("many", mimetype="text/plain", headers={"X-One": "1"})
    response.headers.add("x-many", "a")
    response.headers.add("x-many", "b")
    return response


@app.get("/redirect")
def redirected():
    return redirect("/echo?from=redirect", code=307)


@app.post("/upload")
def upload():
    file = request.files["file"]
    content = file.read()
    return jsonify(name=file.filename, size=len(content), sha256=hashlib.sha256(content).hexdigest())


@app.get("/stream")
def stream():
    return Response((b"chunk %d\n" % n for n in range(5)), mimetype="text/plain")


@app.get("/events")
def events():
    return Response((f"id: {n}\ndata: message {n}\n\n" for n in range(3)), mimetype="text/event-stream")


@app.get("/broken")
def broken():
    raise ValueError("as asked")


@app.get("/large")
def large():
    return Response(bytes(range(256)) * 4096, mimetype="application/octet-stream")


@app.get("/nothing")
def nothing():
    return Response(status=204)


@app.get("/teapot")
def teapot():
    return Response("short and stout", status=418, mimetype="text/plain")


handler = wsgi(app)
streaming_handler = wsgi(app, stream=True)
