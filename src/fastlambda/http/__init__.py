"""Web applications as handlers: `asgi(app)` and `wsgi(app)`.

Names resolve on first use: a WSGI application loads nothing of asyncio.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fastlambda.http.asgi_app import asgi as asgi
    from fastlambda.http.wsgi_app import wsgi as wsgi

__all__ = ["asgi", "wsgi"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'fastlambda.http' has no attribute {name!r}")
    module = __import__(f"fastlambda.http.{name}_app", None, None, [name])
    value = globals()[name] = getattr(module, name)
    return value
