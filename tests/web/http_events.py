"""HTTP requests as each of Lambda's sources hands them on, and their answers as each takes them back.

Written from AWS's documentation of the formats, not from the code under test.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote


@dataclass
class Http:
    """One request."""

    method: str
    target: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _body(http: Http) -> dict[str, Any]:
    if _is_text(http.body):
        return {"body": http.body.decode() or None, "isBase64Encoded": False}
    return {"body": base64.b64encode(http.body).decode(), "isBase64Encoded": True}


def _joined(http: Http) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in http.headers:
        found[name.lower()] = f"{found[name.lower()]},{value}" if name.lower() in found else value
    return found


def _lists(http: Http) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in http.headers:
        found.setdefault(name, []).append(value)
    return found


def _decoded_query(http: Http) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(http.query, keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return found


def _raw_query(http: Http) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in filter(None, http.query.split("&")):
        name, _, value = pair.partition("=")
        found.setdefault(name, []).append(value)
    return found


def function_url(http: Http, stage: str = "$default") -> dict[str, Any]:
    headers = _joined(http)
    cookies = [c.strip() for c in headers.pop("cookie", "").split(";") if c.strip()]
    prefix = "" if stage == "$default" else f"/{stage}"
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": prefix + http.path,
        "rawQueryString": http.query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "url-id",
            "domainName": "url-id.lambda-url.us-west-2.on.aws",
            "http": {
                "method": http.method,
                "path": prefix + http.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.9",
                "userAgent": "test",
            },
            "requestId": "id",
            "stage": stage,
            "timeEpoch": 1583348638390,
        },
        **_body(http),
    }
    if cookies:
        event["cookies"] = cookies
    return event


def rest(http: Http, stage: str = "") -> dict[str, Any]:
    query = _decoded_query(http)
    lists = _lists(http)
    return {
        "resource": "/{proxy+}",
        "path": http.path,
        "httpMethod": http.method,
        "headers": {k: v[-1] for k, v in lists.items()},
        "multiValueHeaders": lists,
        "queryStringParameters": {k: v[-1] for k, v in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "pathParameters": {"proxy": unquote(http.path[1:])},
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/{proxy+}",
            "httpMethod": http.method,
            "path": (f"/{stage}" if stage else "") + http.path,
            "protocol": "HTTP/1.1",
            "stage": stage or "prod",
            "requestId": "id",
            "identity": {"sourceIp": "203.0.113.9"},
        },
        **_body(http),
    }


def http_api_1(http: Http, stage: str = "$default") -> dict[str, Any]:
    """An HTTP API with payload 1.0: as a REST API's, but the stage is in front of both paths."""
    path = ("" if stage == "$default" else f"/{stage}") + http.path
    event = rest(http)
    context = {**event["requestContext"], "path": path, "stage": stage, "domainName": "id.execute-api.aws"}
    return {**event, "version": "1.0", "resource": "$default", "path": path, "requestContext": context}


_ELB = {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/t/1"}}


def alb(http: Http) -> dict[str, Any]:
    return {
        "requestContext": _ELB,
        "httpMethod": http.method,
        "path": http.path,
        "queryStringParameters": {k: v[-1] for k, v in _raw_query(http).items()},
        "headers": {**_joined(http), "x-forwarded-for": "198.51.100.1, 203.0.113.9"},
        **{**_body(http), "body": _body(http)["body"] or ""},
    }


def alb_multi(http: Http) -> dict[str, Any]:
    lists = {k.lower(): v for k, v in _lists(http).items()}
    return {
        "requestContext": _ELB,
        "httpMethod": http.method,
        "path": http.path,
        "multiValueQueryStringParameters": _raw_query(http),
        "multiValueHeaders": {**lists, "x-forwarded-for": ["198.51.100.1, 203.0.113.9"]},
        **{**_body(http), "body": _body(http)["body"] or ""},
    }


def lattice_v2(http: Http) -> dict[str, Any]:
    return {
        "version": "2.0",
        "path": http.path,
        "method": http.method,
        "headers": {**_lists(http), "x-forwarded-for": ["203.0.113.9"]},
        "queryStringParameters": _decoded_query(http),
        "requestContext": {
            "serviceNetworkArn": "arn:aws:vpc-lattice:us-east-1:1:servicenetwork/sn-1",
            "serviceArn": "arn:aws:vpc-lattice:us-east-1:1:service/svc-1",
            "targetGroupArn": "arn:aws:vpc-lattice:us-east-1:1:targetgroup/tg-1",
            "identity": {"sourceVpcArn": "arn:aws:ec2:us-east-1:1:vpc/vpc-1"},
            "region": "us-east-1",
            "timeEpoch": "1690497599177430",
        },
        **_body(http),
    }


def lattice_v1(http: Http) -> dict[str, Any]:
    body = _body(http)
    return {
        "raw_path": http.target,
        "method": http.method,
        "headers": {**_joined(http), "x-forwarded-for": "203.0.113.9"},
        "query_string_parameters": {k: v[-1] for k, v in _decoded_query(http).items()},
        "body": body["body"],
        "is_base64_encoded": body["isBase64Encoded"],
    }


FORMATS = {
    "function-url": function_url,
    "rest": rest,
    "http-api-1": http_api_1,
    "alb": alb,
    "alb-multi": alb_multi,
    "lattice-v2": lattice_v2,
    "lattice-v1": lattice_v1,
}


@dataclass
class Outcome:
    """What the caller gets."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes


def outcome_of(status: int, headers: list[tuple[str, str]], body: bytes) -> Outcome:
    """One that can be compared: names in lower case, values of a name joined, no cookies among them."""
    found: dict[str, str] = {}
    cookies = []
    for name, value in headers:
        name = name.lower()
        if name == "set-cookie":
            cookies.append(value)
        else:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return Outcome(status, found, cookies, body)


def buffered(answer: dict[str, Any]) -> Outcome:
    """What a gateway makes of a handler's result."""
    body = base64.b64decode(answer["body"], validate=True) if answer["isBase64Encoded"] else answer["body"].encode()
    headers = [(k, v) for k, several in answer.get("multiValueHeaders", {}).items() for v in several]
    headers += answer.get("headers", {}).items()
    headers += [("set-cookie", c) for c in answer.get("cookies", [])]
    return outcome_of(answer["statusCode"], headers, body)


def streamed(data: bytes) -> Outcome:
    """What a gateway makes of a stream."""
    prelude, separator, body = data.partition(bytes(8))
    assert separator, f"no prelude: {data[:200]!r}"
    answer = json.loads(prelude)
    assert set(answer) == {"statusCode", "headers", "cookies"}
    headers = [*answer["headers"].items(), *(("set-cookie", c) for c in answer["cookies"])]
    return outcome_of(answer["statusCode"], headers, body)
