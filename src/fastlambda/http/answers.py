"""An application's response in the form that the event's sender takes.

Owns the five forms of an answer, and what may stand in a response.  Promises: a header that HTTP does not have is
refused before anything is sent; text is the same as with a server on a socket.  Must not know: ASGI, WSGI, streams.
Source: AWS's documentation of what function URLs, API Gateway, load balancers and VPC Lattice take; RFC 9110.
"""

from binascii import b2a_base64

from fastlambda.errors import UsageError
from fastlambda.http.events import ALB, REST, TOKEN, V2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from fastlambda.http.events import Headers, Request

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
BAD_REQUEST = (400, [("content-type", "text/plain; charset=utf-8")], b"Bad Request")
SERVER_ERROR = (500, [("content-type", "text/plain; charset=utf-8")], b"Internal Server Error")


def check_status(status: object) -> int:
    """An application's status, if it is one that a response can have.

    Informational ones are not: a gateway would wait for the answer proper, or make a 502 of it.

    Raises:
        UsageError: it is none.
    """
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 599:
        raise UsageError(f"a response has a status from 200 to 599, not {str(status)[:32]!r}")
    return int(status)


def checked(headers: "Iterable[tuple[str, str]]") -> "Headers":
    """The headers of a response as its receiver is to read them, without those of a connection.

    Args:
        headers: bytes told as ISO 8859-1, as WSGI wants text; UTF-8 among them becomes what it stands for.

    Raises:
        TypeError: a name or value is no text.
        ValueError: a name or a value is none of HTTP's.
    """
    kept: Headers = []
    for name, value in headers:
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers are text, not {type(name).__name__} and {type(value).__name__}: {name!r}")
        if not name or not TOKEN.issuperset(name):
            raise ValueError(f"no header's name: {name!r}")
        if not (value.isascii() and value.isprintable()):
            value = _told(name, value)
        if name.lower() not in HOP_BY_HOP:
            kept.append((name, value))
    return kept


def _told(name: str, value: str) -> str:
    if "\r" in value or "\n" in value or "\0" in value:
        raise ValueError(f"the header {name} has a line break or NUL in it")
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return value
    except UnicodeEncodeError:
        value.encode()  # half of a surrogate pair is not text
        return value


def response_of(request: "Request", status: int, headers: "Headers", body: bytes) -> "dict[str, Any]":
    """A complete response in the form that the request's sender takes.

    Args:
        request: that is answered.
        status: 200 to 599.
        headers: as checked() gives them; names may come several times.
        body: of the response; left out where HTTP has none.
    """
    if not has_body(request.method, status):
        body = b""
    text, is_base64 = _text(headers, body)
    answer: dict[str, Any] = {"statusCode": status, "body": text, "isBase64Encoded": is_base64}
    if request.source == V2:
        answer["headers"] = _joined((k, v) for k, v in headers if k.lower() != "set-cookie")
        answer["cookies"] = [v for k, v in headers if k.lower() == "set-cookie"]
    elif request.source == REST or request.is_multi:
        answer["multiValueHeaders"] = _grouped(headers)
    else:
        answer["headers"] = _one_each(headers)
    if request.source == ALB:
        answer["statusDescription"] = f"{status} {reason(status)}"
    return answer


def has_body(method: str, status: int) -> bool:
    """Whether HTTP has a body there. RFC 9110, section 6.4.1."""
    return method != "HEAD" and status not in (204, 304)


def _text(headers: "Headers", body: bytes) -> "tuple[str, bool]":
    kind, is_encoded = "", False
    for name, value in headers:
        name = name.lower()
        if name == "content-type":
            kind = value.partition(";")[0].strip().lower()
        elif name == "content-encoding":
            is_encoded = is_encoded or any(
                coding.strip().lower() not in ("", "identity") for coding in value.split(",")
            )
    is_text = kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))
    if (is_text and not is_encoded) or not body:
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            pass
    return b2a_base64(body, newline=False).decode("ascii"), True


def _joined(headers: "Iterable[tuple[str, str]]") -> dict[str, str]:
    return {name: ", ".join(values) for name, values in _grouped(headers).items()}


def _grouped(headers: "Iterable[tuple[str, str]]") -> dict[str, list[str]]:
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
