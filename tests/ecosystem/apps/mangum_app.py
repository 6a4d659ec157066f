from mangum import Mangum


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["path"].encode() + scope["query_string"]})


handler = Mangum(app, lifespan="off")
