"""Lambda's HTTP events: what came in as one Request, what goes out in the form that its sender takes.

Owns the five event formats.  Promises: an event that is not HTTP is None, never a guess; bytes of a body arrive and
leave as they are.  Must not know: ASGI, WSGI, streams.
Source: AWS's documentation of function URLs, HTTP APIs (payload 2.0), REST APIs and HTTP APIs (payload 1.0), load
balancer targets, and VPC Lattice targets (versions 1 and 2); RFC 9110.
"""

from binascii import a2b_base64, b2a_base64
from urllib.parse import quote, unquote

from fastlambda.errors import UnmarshalError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Headers = list[tuple[str, str]]

# Who sent the event.
V2, REST, ALB, LATTICE_V1, LATTICE_V2 = "v2", "rest", "alb", "lattice-v1", "lattice-v2"

# Connection-level fields mean nothing behind a gateway. RFC 9110, section 7.6.1.
HOP_BY_HOP = frozenset(
    ["connection", "keep-alive", "proxy-authenticate", "proxy-connection", "te", "transfer-encoding", "upgrade"]
)
# These bodies are sent as text when they are UTF-8: a REST API without binary media types passes base64 on as it is.
_TEXT_TYPES = frozenset(
    [
        "application/json",
        "application/javascript",
        "application/xml",
        "application/x-www-form-urlencoded",
        "application/x-ndjson",
        "application/yaml",
        "application/graphql",
    ]
)
# As in a path (RFC 3986, section 3.3), and "%": what the gateway has escaped stays so.
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"


class Request:
    """One HTTP request.

    Attributes:
        source: V2, REST, ALB, LATTICE_V1 or LATTICE_V2.
        method: in capitals.
        path: decoded, with the root path in front.
        raw_path: the same as it was sent, percent-encoded ASCII.
        root_path: where the application is mounted: the stage of an API, or "".
        query_string: percent-encoded, without "?".
        headers: names in lower case; a name may come several times.
        body: decoded.
        client: the caller's address, or None.
        scheme: "https" or "http".
        host, port: that the caller asked for.
        http_version: "1.1", ...
        is_multi: a load balancer that takes several values of a header.
        event: as it came.
    """

    __slots__ = (
        "body",
        "client",
        "event",
        "headers",
        "host",
        "http_version",
        "is_multi",
        "method",
        "path",
        "port",
        "query_string",
        "raw_path",
        "root_path",
        "scheme",
        "source",
    )

    def __init__(
        self,
        source: str,
        event: "dict[str, Any]",
        method: str,
        raw_path: str,
        root_path: str,
        query_string: str,
        headers: "Headers",
        body: bytes,
        client: "str | None",
        http_version: str,
        is_multi: bool = False,
    ) -> None:
        self.source = source
        self.event = event
        self.method = method.upper()
        self.raw_path = quote(raw_path or "/", safe=_PATH_SAFE)
        self.path = unquote(self.raw_path)
        self.root_path = root_path
        self.query_string = quote(query_string, safe=_PATH_SAFE + "?#[]")
        self.headers = headers
        self.body = body
        self.client = client
        self.http_version = http_version
        self.is_multi = is_multi
        known = dict(headers)
        self.scheme = known.get("x-forwarded-proto", "https").rpartition(",")[2].strip()
        host, colon, port = known.get("host", "").rpartition(":")
        if not colon or not port.isdecimal():
            host, port = known.get("host", ""), known.get("x-forwarded-port", "")
        self.host = host or "localhost"
        self.port = int(port) if port.isdecimal() else 443 if self.scheme == "https" else 80


def request_of(event: object) -> "Request | None":
    """The request that an event carries; None when the event is not HTTP.

    Raises:
        UnmarshalError: it is HTTP, but its body is not what it says.
    """
    if not isinstance(event, dict):
        return None
    context = event.get("requestContext")
    if isinstance(context, dict):
        if "elb" in context and "httpMethod" in event:
            return _from_alb(event)
        if event.get("version") == "2.0":
            if isinstance(context.get("http"), dict):
                return _from_v2(event, context)
            if "serviceNetworkArn" in context and "method" in event:
                return _from_lattice_v2(event, context)
        elif "httpMethod" in event and "path" in event:
            return _from_rest(event, context)
    elif "raw_path" in event and "method" in event:
        return _from_lattice_v1(event)
    return None


def _from_v2(event: "dict[str, Any]", context: "dict[str, Any]") -> Request:
    http = context["http"]
    headers = _single(event.get("headers"))
    cookies = event.get("cookies")
    if cookies:
        headers = [(k, v) for k, v in headers if k != "cookie"]
        headers.append(("cookie", "; ".join(cookies)))
    raw_path = event.get("rawPath") or http.get("path") or "/"
    stage = context.get("stage") or "$default"
    prefix = "" if stage == "$default" else f"/{stage}"
    root = prefix if prefix and (raw_path == prefix or raw_path.startswith(prefix + "/")) else ""
    return Request(
        V2,
        event,
        http.get("method", "GET"),
        raw_path,
        root,
        event.get("rawQueryString") or "",
        headers,
        _body(event),
        http.get("sourceIp"),
        _version(http.get("protocol")),
    )


def _from_rest(event: "dict[str, Any]", context: "dict[str, Any]") -> Request:
    path = event["path"] or "/"
    # With the stage in front, unless a domain of its own hides it.
    full = context.get("path") or path
    root = full[: -len(path)] if full.endswith(path) and path != "/" else full.rstrip("/") if path == "/" else ""
    headers = _multi(event.get("multiValueHeaders")) or _single(event.get("headers"))
    values = event.get("multiValueQueryStringParameters")
    if values is None:
        values = {k: [v] for k, v in (event.get("queryStringParameters") or {}).items()}
    identity = context.get("identity") or {}
    return Request(
        REST,
        event,
        event["httpMethod"],
        root + path,
        root,
        _encoded(values),
        headers,
        _body(event),
        identity.get("sourceIp"),
        _version(context.get("protocol")),
    )


def _from_alb(event: "dict[str, Any]") -> Request:
    is_multi = "multiValueHeaders" in event
    headers = _multi(event["multiValueHeaders"]) if is_multi else _single(event.get("headers"))
    values = event.get("multiValueQueryStringParameters")
    if values is None:
        values = {k: [v] for k, v in (event.get("queryStringParameters") or {}).items()}
    # A load balancer passes names and values on as they were sent.
    query = "&".join(f"{name}={value}" for name, several in values.items() for value in several)
    forwarded = dict(headers).get("x-forwarded-for", "")
    return Request(
        ALB,
        event,
        event["httpMethod"],
        event.get("path") or "/",
        "",
        query,
        headers,
        _body(event),
        forwarded.rpartition(",")[2].strip() or None,
        "1.1",
        is_multi,
    )


def _from_lattice_v2(event: "dict[str, Any]", context: "dict[str, Any]") -> Request:
    path, mark, query = (event.get("path") or "/").partition("?")
    if not mark:
        query = _encoded(event.get("queryStringParameters") or {})
    headers = _multi(event.get("headers"))
    return Request(
        LATTICE_V2,
        event,
        event["method"],
        path,
        "",
        query,
        headers,
        _body(event),
        dict(headers).get("x-forwarded-for", "").rpartition(",")[2].strip() or None,
        "1.1",
    )


def _from_lattice_v1(event: "dict[str, Any]") -> Request:
    path, _, query = (event["raw_path"] or "/").partition("?")
    headers = _single(event.get("headers"))
    return Request(
        LATTICE_V1,
        event,
        event["method"],
        path,
        "",
        query,
        headers,
        _body(event, "is_base64_encoded"),
        dict(headers).get("x-forwarded-for", "").rpartition(",")[2].strip() or None,
        "1.1",
    )


def _single(headers: "dict[str, str] | None") -> "Headers":
    return [(k.lower(), v) for k, v in (headers or {}).items() if v is not None]


def _multi(headers: "dict[str, list[str]] | None") -> "Headers":
    found: Headers = []
    for name, values in (headers or {}).items():
        found += [(name.lower(), v) for v in (values if isinstance(values, list) else [values])]
    return found


def _encoded(values: "dict[str, list[str]]") -> str:
    """A query string from what the gateway has decoded."""
    pairs = [(k, v) for k, several in values.items() for v in (several if isinstance(several, list) else [several])]
    return "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in pairs)


def _version(protocol: "str | None") -> str:
    return (protocol or "HTTP/1.1").partition("/")[2] or "1.1"


def _body(event: "dict[str, Any]", flag: str = "isBase64Encoded") -> bytes:
    body = event.get("body")
    if not body:
        return b""
    if not event.get(flag):
        return body.encode() if isinstance(body, str) else _not_text(body)
    try:
        return a2b_base64(body)
    except ValueError as exc:
        raise UnmarshalError(f"the event's body is not base64, as {flag} says: {exc}") from None


def _not_text(body: object) -> bytes:
    raise UnmarshalError(f"the body of an HTTP event is text, not {type(body).__name__}")


# ---- the answer ---------------------------------------------------------------------------------------------------


def response_of(request: Request, status: int, headers: "Iterable[tuple[str, str]]", body: bytes) -> "dict[str, Any]":
    """A complete response in the form that the request's sender takes.

    Args:
        request: that is answered.
        status: 200 to 599.
        headers: names may come several times.
        body: of the response; left out where HTTP has none.
    """
    kept = [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]
    if not has_body(request.method, status):
        body = b""
    text, is_base64 = _text(kept, body)
    answer: dict[str, Any] = {"statusCode": status, "body": text, "isBase64Encoded": is_base64}
    if request.source == V2:
        answer["headers"] = _joined((k, v) for k, v in kept if k.lower() != "set-cookie")
        answer["cookies"] = [v for k, v in kept if k.lower() == "set-cookie"]
    elif request.source == REST or request.is_multi:
        answer["multiValueHeaders"] = _grouped(kept)
    else:
        answer["headers"] = _one_each(kept)
    if request.source == ALB:
        answer["statusDescription"] = f"{status} {reason(status)}"
    return answer


def check_status(status: object) -> int:
    """An application's status, if it is one that a response can have.

    Informational ones are not: a gateway would wait for the answer proper, or make a 502 of it.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise UsageError(f"a response has a status from 200 to 599, not {str(status)[:32]!r}")
    return int(status)


def has_body(method: str, status: int) -> bool:
    """Whether HTTP has a body there. RFC 9110, section 6.4.1."""
    return method != "HEAD" and status not in (204, 304)


def _text(headers: "Headers", body: bytes) -> "tuple[str, bool]":
    known = {k.lower(): v for k, v in headers}
    kind = known.get("content-type", "").partition(";")[0].strip().lower()
    is_text = (
        kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))
    ) and "content-encoding" not in known
    if is_text or not body:
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass
    return b2a_base64(body, newline=False).decode("ascii"), True


def _joined(headers: "Iterable[tuple[str, str]]") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _grouped(headers: "Headers") -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def _one_each(headers: "Headers") -> dict[str, str]:
    """One value for each name, but several cookies: their names differ in the case of letters, which HTTP ignores."""
    found = _joined((k, v) for k, v in headers if k.lower() != "set-cookie")
    cookies = [v for k, v in headers if k.lower() == "set-cookie"]
    for n, cookie in enumerate(cookies):
        found[_spelling("set-cookie", n)] = cookie
    return found


def _spelling(name: str, n: int) -> str:
    """The n-th way to write a name with capitals."""
    letters = list(name)
    for i, letter in enumerate(letters):
        if letter.isalpha():
            if n & 1:
                letters[i] = letter.upper()
            n >>= 1
    return "".join(letters)


def reason(status: int) -> str:
    """The phrase of a status code, "" for one that has none."""
    from http import HTTPStatus

    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
