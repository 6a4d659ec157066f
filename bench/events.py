"""The events of the benchmark: the same bytes on every machine.

20 bytes, an API Gateway request of 1.4 KB, an SQS batch of 100 KB, a batch of readings of 1.2 MB.
"""

import json
import random

SEED = 20180601  # the Runtime API's version; only makes the text irregular


def tiny():
    """20 bytes: what remains is the exchange itself."""
    return {"name": "lambda 01"}


def gateway():
    """An HTTP API (payload format 2.0) request with a small body."""
    return {
        "version": "2.0",
        "routeKey": "POST /orders/{id}",
        "rawPath": "/prod/orders/4711",
        "rawQueryString": "expand=lines&expand=customer&currency=EUR",
        "cookies": ["session=5f1e2d3c-6f1c-4b7a-9e2d", "theme=dark"],
        "headers": {
            "accept": "application/json, text/plain, */*",
            "accept-encoding": "gzip, deflate, br",
            "accept-language": "de-DE,de;q=0.9,en;q=0.8",
            "content-length": "108",
            "content-type": "application/json",
            "host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0",
            "x-amzn-trace-id": "Root=1-5f1e2d3c-0a1b2c3d4e5f60718293a4b5",
            "x-forwarded-for": "203.0.113.57",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "queryStringParameters": {"expand": "lines,customer", "currency": "EUR"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "a1b2c3d4e5",
            "authorizer": {
                "jwt": {"claims": {"sub": "5f1e2d3c-6f1c", "scope": "orders/read orders/write"}, "scopes": None}
            },
            "domainName": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "a1b2c3d4e5",
            "http": {"method": "POST", "path": "/prod/orders/4711", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.57"},
            "requestId": "JKJaXmPLvHcESHA=",
            "stage": "prod",
            "time": "12/Mar/2024:19:03:58 +0000",
            "timeEpoch": 1710270238000,
        },
        "pathParameters": {"id": "4711"},
        "body": '{"quantity":3,"sku":"KX-200","note":"leave at the door"}',
        "isBase64Encoded": False,
    }


def sqs_batch(n=103):
    """A batch of SQS messages whose bodies are JSON text, so quotes are escaped."""
    chance = random.Random(SEED)
    records = []
    for i in range(n):
        body = {
            "orderId": chance.randrange(10**9),
            "customer": f"Müller & Söhne {chance.randrange(10**4)}",
            "lines": [
                {
                    "sku": f"KX-{chance.randrange(10**6)}",
                    "quantity": chance.randrange(1, 9),
                    "price": chance.randrange(10**4) / 100,
                }
                for _ in range(5)
            ],
            "paid": chance.random() < 0.5,
            "note": None,
        }
        records.append(
            {
                "messageId": f"{chance.getrandbits(128):032x}",
                "receiptHandle": f"{chance.getrandbits(512):0128x}",
                "body": json.dumps(body, ensure_ascii=False),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": str(1710270238000 + i),
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": str(1710270238009 + i),
                },
                "messageAttributes": {},
                "md5OfBody": f"{chance.getrandbits(128):032x}",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:orders",
                "awsRegion": "eu-central-1",
            }
        )
    return {"Records": records}


def readings(n=10300):
    """Measurements: numbers, short keys, nesting; what a data pipeline passes on."""
    chance = random.Random(SEED + 1)
    return {
        "source": "plant-7",
        "readings": [
            {
                "sensor": f"s-{chance.randrange(5000):04d}",
                "at": 1710270238000 + 250 * i,
                "value": chance.randrange(10**7) / 1000,
                "range": [chance.randrange(100), chance.randrange(100, 1000)],
                "status": {"ok": chance.random() < 0.98, "code": chance.choice([0, 0, 0, 17, None])},
                "unit": chance.choice(["kPa", "°C", "m³/h", "A"]),
            }
            for i in range(n)
        ],
    }


EVENTS = {"20B": tiny, "1.4KB": gateway, "100KB": sqs_batch, "1.2MB": readings}


def encode(value):
    """The bytes of an event as a caller sends them: compact UTF-8 JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
