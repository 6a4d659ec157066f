"""Lambda's HTTP events: what came in, as one Request.

Owns the five event formats.  Promises: an event that is not HTTP is None, never a guess; one that is HTTP becomes a
Request whatever its fields hold, and what no server would let through is named in its `fault`; bytes of a body are as
they were sent.  Must not know: ASGI, WSGI, streams, answers.
Source: AWS's documentation of function URLs, HTTP APIs (payload 2.0), REST APIs and HTTP APIs (payload 1.0), load
balancer targets, and VPC Lattice targets (versions 1 and 2); RFC 9110, RFC 9112.
"""

from binascii import a2b_base64
from urllib.parse import quote, unquote

from fastlambda.errors import UsageError, complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Headers = list[tuple[str, str]]
    Fields = dict[str, Any]

# Who sent the event.
V2, REST, ALB, LATTICE_V1, LATTICE_V2 = "v2", "rest", "alb", "lattice-v1", "lattice-v2"

# RFC 9110, section 5.6.2: what a method and a header's name are made of.
TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
# What may stand in a request's target stays as it is, "%" too: what was escaped stays so, and servers escape nothing.
_QUERY_SAFE = "".join(map(chr, range(0x21, 0x7F))).replace("#", "")
_PATH_SAFE = _QUERY_SAFE.replace("?", "")
_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/2": "2", "HTTP/2.0": "2", "HTTP/3": "3", "HTTP/3.0": "3"}


class BadEvent(Exception):
    """An HTTP event with a field that no HTTP request has; the message names it."""


class Request:
    """One HTTP request.

    Attributes:
        source: V2, REST, ALB, LATTICE_V1 or LATTICE_V2.
        event: as it came.
        is_multi: a load balancer that takes several values of a header.
        fault: what no server would let through, or None; it is answered with 400.
        method: in capitals.
        path: decoded, with the root path in front.
        raw_path: the same as it was sent, percent-encoded ASCII.
        root_path: where the application is mounted: the stage of an API, or "".
        query_string: percent-encoded, without "?".
        headers: names in lower case; a name may come several times.  A body has its content-length.
        body: decoded.
        client, client_port: the caller's address, or None; 0 when its port is not known.
        scheme: "https" or "http".
        host, port: that the caller asked for.
        http_version: "1.1", ...
    """

    fault: "str | None" = None
    method = "GET"
    raw_path = path = "/"
    root_path = query_string = ""
    body = b""
    client: "str | None" = None
    client_port = 0
    scheme, host, port = "https", "localhost", 443
    http_version = "1.1"

    def __init__(self, source: str, event: "Fields") -> None:
        self.source = source
        self.event = event
        self.is_multi = source == ALB and "multiValueHeaders" in event
        self.headers: Headers = []

    def mount(self, root_path: str) -> None:
        """Mounts the application, unless the event says where it is, or asks for a path elsewhere."""
        if not self.root_path and root_path and _is_under(self.path, root_path):
            self.root_path = root_path

    # -- for the readers of events ----------------------------------------------------------------------------------

    def _set_target(self, method: object, raw_path: str, query: str, root_path: str = "") -> None:
        if not isinstance(method, str) or not method or not TOKEN.issuperset(method):
            raise BadEvent(f"no method of HTTP is {_shown(method)}")
        self.method = method.upper()
        try:
            self.raw_path = quote(raw_path, safe=_PATH_SAFE) or "/"
            self.query_string = quote(query, safe=_QUERY_SAFE)
        except UnicodeEncodeError:
            raise BadEvent("half of a surrogate pair is in the path or in the query") from None
        self.path = unquote(self.raw_path)
        self.root_path = unquote(root_path)

    def _set_headers(self, headers: "Headers") -> None:
        """Takes the headers, the body's length corrected, and what they say of the connection."""
        # The gateway has taken chunks apart, and whoever wrote the event may have changed the body.
        lengths = [v for k, v in headers if k == "content-length"]
        known = dict(headers)
        size = str(len(self.body))
        if "transfer-encoding" in known or (lengths != [size] and (lengths or self.body)):
            headers = [(k, v) for k, v in headers if k not in ("content-length", "transfer-encoding")]
            if lengths or self.body:
                headers.append(("content-length", size))
        self.headers = headers
        scheme = known.get("x-forwarded-proto", "").rpartition(",")[2].strip().lower()
        self.scheme = scheme if scheme in ("http", "https") else "https"
        host, port = _address(known.get("host", ""))
        self.host = host or "localhost"
        self.port = port or _port(known.get("x-forwarded-port", "")) or (443 if self.scheme == "https" else 80)

    def _set_forwarded_client(self) -> None:
        """The caller as a load balancer tells it: the last of the list is the one that it has seen itself."""
        told = dict(self.headers).get("x-forwarded-for", "").rpartition(",")[2].strip()
        self._set_client(told)

    def _set_client(self, told: object) -> None:
        if isinstance(told, str) and told:
            host, self.client_port = _address(told)
            self.client = host.strip("[]") or None


def mount_point(root_path: "str | None") -> str:
    """The option root_path= as paths have it in front.

    Raises:
        UsageError: it is no path.
    """
    if root_path is None:
        return ""
    if not isinstance(root_path, str) or (root_path and not root_path.startswith("/")):
        raise UsageError(f'root_path is where the application is mounted, such as "/shop", not {root_path!r}')
    return root_path.rstrip("/")


def request_of(event: object) -> "Request | None":
    """The request that an event carries; None when the event is not HTTP."""
    if not isinstance(event, dict):
        return None
    source = _source_of(event)
    if source is None:
        return None
    request = Request(source, event)
    try:
        _READERS[source](request, event)
    except BadEvent as exc:
        request.fault = str(exc)
        complain(f"an HTTP event is answered with 400: {exc}")
    return request


def _source_of(event: "Fields") -> "str | None":
    if "methodArn" in event or "routeArn" in event:
        return None  # an authorizer is asked about a request; its answer is not the request's
    context = event.get("requestContext")
    if isinstance(context, dict):
        if "elb" in context and "httpMethod" in event:
            return ALB
        if event.get("version") == "2.0":
            if isinstance(context.get("http"), dict):
                return V2
            if "serviceNetworkArn" in context and "method" in event:
                return LATTICE_V2
        elif "httpMethod" in event and "path" in event:
            return REST
    elif "raw_path" in event and "method" in event:
        return LATTICE_V1
    return None


# ---- the five formats ---------------------------------------------------------------------------------------------


def _read_v2(request: Request, event: "Fields") -> None:
    context = event["requestContext"]
    http = context["http"]
    path = _text(event.get("rawPath"), "rawPath") or _text(http.get("path"), "requestContext.http.path") or "/"
    stage = context.get("stage")
    root = f"/{stage}" if isinstance(stage, str) and stage and stage != "$default" else ""
    request._set_target(
        http.get("method", "GET"),
        path,
        _text(event.get("rawQueryString"), "rawQueryString"),
        root if root and _is_under(path, root) else "",
    )
    headers = _headers(event.get("headers"), "headers")
    cookies = event.get("cookies")
    if cookies:
        if not isinstance(cookies, list):
            raise BadEvent(f"cookies are a list, not {_shown(cookies)}")
        line = "; ".join([_text(cookie, "cookies") for cookie in cookies if cookie is not None])
        headers = [(k, v) for k, v in headers if k != "cookie"] + _headers({"cookie": line}, "cookies")
    request.body = _body(event)
    request._set_headers(headers)
    request._set_client(http.get("sourceIp"))
    request.http_version = _version(http.get("protocol"))


def _read_rest(request: Request, event: "Fields") -> None:
    context = event["requestContext"]
    path = _text(event["path"], "path") or "/"
    root, path = _with_stage(event, context, path)
    request._set_target(
        event["httpMethod"],
        path,
        _encoded(event, "multiValueQueryStringParameters", "queryStringParameters"),
        root,
    )
    headers = _headers(event.get("multiValueHeaders"), "multiValueHeaders") or _headers(event.get("headers"), "headers")
    request.body = _body(event)
    request._set_headers(headers)
    identity = context.get("identity")
    request._set_client(identity.get("sourceIp") if isinstance(identity, dict) else None)
    request.http_version = _version(context.get("protocol"))


def _with_stage(event: "Fields", context: "Fields", path: str) -> "tuple[str, str]":
    """The stage of a REST API or of an HTTP API with payload 1.0, and the path as it was asked for.

    A domain of the API's own hides the stage.  A REST API leaves it out of `path`, an HTTP API does not.
    """
    full, stage = context.get("path"), context.get("stage")
    prefix = f"/{stage}" if isinstance(stage, str) and stage and stage != "$default" else ""
    if not isinstance(full, str) or not full or full == path:
        return (prefix if prefix and event.get("version") == "1.0" and _is_under(path, prefix) else ""), path
    if path == "/":
        root = full.rstrip("/")
    elif path.startswith("/") and full.endswith(path):
        root = full[: -len(path)]
    else:  # one of them is percent-encoded
        root = prefix if prefix and _is_under(full, prefix) and not _is_under(path, prefix) else ""
    return (root, root + path) if root.startswith("/") else ("", path)


def _read_alb(request: Request, event: "Fields") -> None:
    # A load balancer passes names and values of the query on as they were sent.
    pairs = _pairs(event, "multiValueQueryStringParameters", "queryStringParameters")
    request._set_target(
        event["httpMethod"],
        _text(event.get("path"), "path") or "/",
        "&".join([f"{name}={value}" for name, value in pairs]),
    )
    headers = _headers(event.get("multiValueHeaders"), "multiValueHeaders") or _headers(event.get("headers"), "headers")
    request.body = _body(event)
    request._set_headers(headers)
    request._set_forwarded_client()


def _read_lattice_v2(request: Request, event: "Fields") -> None:
    path, mark, query = _text(event.get("path"), "path").partition("?")
    request._set_target(
        event["method"],
        path or "/",
        query if mark else _encoded(event, "queryStringParameters", "queryStringParameters"),
    )
    headers = _headers(event.get("headers"), "headers")
    request.body = _body(event)
    request._set_headers(headers)
    request._set_forwarded_client()


def _read_lattice_v1(request: Request, event: "Fields") -> None:
    path, mark, query = _text(event["raw_path"], "raw_path").partition("?")
    name = "query_string_parameters"
    request._set_target(event["method"], path or "/", query if mark else _encoded(event, name, name))
    headers = _headers(event.get("headers"), "headers")
    request.body = _body(event, "is_base64_encoded")
    request._set_headers(headers)
    request._set_forwarded_client()


_READERS = {
    V2: _read_v2,
    REST: _read_rest,
    ALB: _read_alb,
    LATTICE_V1: _read_lattice_v1,
    LATTICE_V2: _read_lattice_v2,
}


# ---- fields -------------------------------------------------------------------------------------------------------


def _shown(value: object) -> str:
    """A value in a message: what came is foreign, and may be long."""
    return ascii(value)[:80] if value is None or isinstance(value, (str, float, bool)) else type(value).__name__


def _text(value: object, name: str) -> str:
    """A field's text; null is none, and a number is its own."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) or (isinstance(value, int) and value.bit_length() < 1024):
        return str(value)
    raise BadEvent(f"{name} is {_shown(value)}, not text")


def _headers(given: object, name: str) -> "Headers":
    """Header lines, of one value or of a list of values for each name; null is left out.

    Raises:
        BadEvent: a name or a value that HTTP does not have; nothing that was made up may become a line of its own.
    """
    if not given:
        return []
    if not isinstance(given, dict):
        raise BadEvent(f"{name} is {_shown(given)}, not an object")
    found: Headers = []
    for key, several in given.items():
        if not key or not TOKEN.issuperset(key):
            raise BadEvent(f"no header's name is {_shown(key)}")
        key = key.lower()
        for value in several if isinstance(several, list) else (several,):
            if value is None:
                continue
            value = _text(value, f"the header {key}")
            if not (value.isascii() and value.isprintable()):
                _check_value(key, value)
            found.append((key, value))
    return found


def _check_value(name: str, value: str) -> None:
    if "\r" in value or "\n" in value or "\0" in value:
        raise BadEvent(f"the header {name} has a line break or NUL in it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadEvent(f"the header {name} has half of a surrogate pair in it") from None


def _pairs(event: "Fields", several_name: str, single_name: str) -> "list[tuple[str, str]]":
    """Names and values of a query that the sender has taken apart."""
    name = several_name if event.get(several_name) else single_name
    values = event.get(name)
    if not values:
        return []
    if not isinstance(values, dict):
        raise BadEvent(f"{name} is {_shown(values)}, not an object")
    return [
        (key, _text(value, f"{name}.{ascii(key)[1:40]}"))
        for key, several in values.items()
        for value in (several if isinstance(several, list) else (several,))
    ]


def _encoded(event: "Fields", several_name: str, single_name: str) -> str:
    """A query string from what the gateway has decoded."""
    try:
        return "&".join(
            [f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in _pairs(event, several_name, single_name)]
        )
    except UnicodeEncodeError:
        raise BadEvent("half of a surrogate pair is in the query") from None


def _body(event: "Fields", flag: str = "isBase64Encoded") -> bytes:
    body = event.get("body")
    if not body:
        return b""
    if not isinstance(body, str):
        raise BadEvent(f"the body is {_shown(body)[:20]}, not text")
    try:
        return a2b_base64(body) if event.get(flag) else body.encode()
    except UnicodeEncodeError:
        raise BadEvent("the body has half of a surrogate pair in it") from None
    except ValueError as exc:
        raise BadEvent(f"the body is not base64, as {flag} says: {exc}") from None


def _is_under(path: str, root: str) -> bool:
    return path.startswith(root) and path[len(root) : len(root) + 1] in ("", "/")


def _address(text: str) -> "tuple[str, int]":
    """Host and port of `host`, `host:port` or `[IPv6]:port`; 0: no port.  An IPv6 address keeps its brackets."""
    host, colon, port = text.rpartition(":")
    if colon and (":" not in host or host.endswith("]")) and (number := _port(port)):
        return host, number
    return text, 0


def _port(text: str) -> int:
    return int(text) if len(text) <= 5 and text.isascii() and text.isdecimal() and int(text) < 65536 else 0


def _version(protocol: object) -> str:
    return _VERSIONS.get(protocol, "1.1") if isinstance(protocol, str) else "1.1"
