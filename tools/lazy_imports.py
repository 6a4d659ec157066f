"""Tries packages that are common in Lambda functions with FASTLAMBDA_LAZY_IMPORTS=1, and measures what it saves.

  python3 dev.py lazy_imports                    all of them, into docs/lazy-imports.md
  python3 dev.py lazy_imports --only boto3       one or more, printed only
  python3 dev.py lazy_imports --rounds 9

Each package gets a handler that imports it at its top and uses it once.  The handler runs in a fresh process under
fastlambda against a loopback Runtime API, eager and lazy in turn.  Both answers must be the same.  Times are CPU times of the
process up to its first answer, user and system, medians of the rounds.  Packages come from the index as wheels, into
.cache/lazy-imports; needs Python 3.15 (tools/pythons.py brings it).
"""
# extras: dev
# ruff: noqa: E501  one case a line

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tools")]

import pythons  # noqa: E402
from support import ACCEPTED, ScriptedServer, clean_env, event_answer, read_request  # noqa: E402

CACHE = ROOT / ".cache/lazy-imports"
PAGE = ROOT / "docs/lazy-imports.md"
INSTALL_S, RUN_S = 300, 60

# Distribution: (imports at the top of the handler's module, an expression that uses them; it must have a JSON form).
CASES: dict[str, tuple[str, str]] = {
    "boto3": ("import boto3", "boto3.client('s3', **C).meta.service_model.service_name"),
    "boto3, and a call": (
        "import boto3\nfrom botocore.exceptions import ClientError, EndpointConnectionError",
        "call(lambda: boto3.client('dynamodb', endpoint_url='http://127.0.0.1:9', **C).list_tables(), EndpointConnectionError)",
    ),
    "botocore": ("import botocore.session", "botocore.session.get_session().get_config_variable('region')"),
    "requests": ("import requests", "requests.Request('GET', 'http://a/b', params={'c': 1}).prepare().url"),
    "urllib3": ("import urllib3", "urllib3.util.parse_url('http://a/b').host"),
    "certifi": ("import certifi", "certifi.where()[-4:]"),
    "idna": ("import idna", "idna.encode('ä.de').decode()"),
    "charset-normalizer": ("import charset_normalizer", "charset_normalizer.from_bytes('äöü'.encode()).best().encoding"),
    "aws-lambda-powertools": (
        "from aws_lambda_powertools import Logger, Metrics",
        "(Logger(service='a').service, Metrics(namespace='a', service='b').namespace)",
    ),
    "aws-xray-sdk": ("from aws_xray_sdk.core import xray_recorder", "xray_recorder.service"),
    "aws-encryption-sdk": ("import aws_encryption_sdk", "aws_encryption_sdk.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT.value"),
    "s3transfer": ("from s3transfer.manager import TransferConfig", "TransferConfig().multipart_threshold"),
    "jmespath": ("import jmespath", "jmespath.search('a.b', {'a': {'b': 1}})"),
    "pydantic": ("from pydantic import BaseModel", "type('M', (BaseModel,), {'__annotations__': {'a': int}})(a='1').a"),
    "pydantic-settings": ("from pydantic_settings import BaseSettings", "BaseSettings().model_dump()"),
    "msgspec": ("import msgspec", "msgspec.json.decode(b'[1]')"),
    "orjson": ("import orjson", "orjson.loads(b'[1]')"),
    "simplejson": ("import simplejson", "simplejson.loads('[1.5]')"),
    "ujson": ("import ujson", "ujson.loads('[1]')"),
    "attrs": ("import attr", "attr.asdict(attr.make_class('A', ['x'])(1))"),
    "marshmallow": ("from marshmallow import Schema, fields", "Schema.from_dict({'a': fields.Int()})().load({'a': '1'})"),
    "jsonschema": ("import jsonschema", "jsonschema.validate(1, {'type': 'integer'})"),
    "PyYAML": ("import yaml", "yaml.safe_load('a: [1]')"),
    "python-dateutil": ("from dateutil import parser, tz", "parser.parse('2026-01-02').year"),
    "pytz": ("import pytz", "pytz.timezone('Europe/Berlin').zone"),
    "tzdata": ("import zoneinfo", "zoneinfo.ZoneInfo('Europe/Berlin').key"),
    "pendulum": ("import pendulum", "pendulum.datetime(2026, 1, 2).to_date_string()"),
    "numpy": ("import numpy as np", "np.arange(4).sum().item()"),
    "pandas": ("import pandas as pd", "pd.DataFrame({'a': [1, 2]}).a.sum().item()"),
    "SQLAlchemy": ("import sqlalchemy as sa", "sa.create_engine('sqlite://').connect().execute(sa.text('select 1')).scalar()"),
    "psycopg": ("import psycopg", "str(psycopg.sql.SQL('select {}').format(psycopg.sql.Literal(1)))[:12]"),
    "psycopg2-binary": ("import psycopg2", "call(lambda: psycopg2.connect('host=127.0.0.1 port=9'), psycopg2.OperationalError)"),
    "PyMySQL": ("import pymysql", "call(lambda: pymysql.connect(host='127.0.0.1', port=9), pymysql.err.OperationalError)"),
    "redis": ("import redis", "call(lambda: redis.Redis('127.0.0.1', 9).ping(), redis.exceptions.ConnectionError)"),
    "pymongo": ("import pymongo, bson", "len(bson.encode({'a': 1}))"),
    "elasticsearch": ("from elasticsearch import Elasticsearch", "type(Elasticsearch('http://127.0.0.1:9')).__name__"),
    "opensearch-py": ("from opensearchpy import OpenSearch", "type(OpenSearch('http://127.0.0.1:9')).__name__"),
    "cryptography": ("from cryptography.fernet import Fernet", "Fernet(b'A' * 43 + b'=').decrypt(Fernet(b'A' * 43 + b'=').encrypt(b'x')).decode()"),
    "PyJWT": ("import jwt", "jwt.decode(jwt.encode({'a': 1}, 'k' * 32), 'k' * 32, ['HS256'])"),
    "python-jose": ("from jose import jwt", "jwt.decode(jwt.encode({'a': 1}, 'k' * 32), 'k' * 32)"),
    "httpx": ("import httpx", "str(httpx.Request('GET', 'http://a/b', params={'c': 1}).url)"),
    "aiohttp": ("import aiohttp", "aiohttp.ClientTimeout(total=1).total"),
    "Jinja2": ("import jinja2", "jinja2.Template('{{ a }}').render(a=1)"),
    "Flask": ("from flask import Flask", "Flask('a').test_client().get('/').status_code"),
    "fastapi": ("from fastapi import FastAPI", "FastAPI().openapi()['openapi']"),
    "mangum": ("from mangum import Mangum", "Mangum(None, lifespan='off').lifespan"),
    "Django": ("from django.conf import settings\nimport django", "[settings.configure(), django.setup(), settings.DEBUG][2]"),
    "beautifulsoup4": ("from bs4 import BeautifulSoup", "BeautifulSoup('<a>x</a>', 'html.parser').a.text"),
    "lxml": ("from lxml import etree", "etree.fromstring('<a>x</a>').text"),
    "pillow": ("from PIL import Image", "Image.new('RGB', (2, 2)).size"),
    "openpyxl": ("import openpyxl", "openpyxl.Workbook().active.title"),
    "paramiko": ("import paramiko", "type(paramiko.SSHClient()).__name__"),
    "sentry-sdk": ("import sentry_sdk", "[sentry_sdk.init(), sentry_sdk.is_initialized()][1]"),
    "structlog": ("import structlog", "type(structlog.get_logger()).__name__"),
    "loguru": ("from loguru import logger", "type(logger).__name__"),
    "stripe": ("import stripe", "stripe.StripeClient('sk_test')._requestor is not None"),
    "twilio": ("from twilio.rest import Client", "Client('AC' + 'a' * 32, 'b').account_sid[:2]"),
    "slack-sdk": ("from slack_sdk import WebClient", "WebClient(token='x').base_url"),
    "openai": ("import openai", "openai.OpenAI(api_key='x').max_retries"),
    "tenacity": ("import tenacity", "tenacity.retry(stop=tenacity.stop_after_attempt(1))(lambda: 1)()"),
    "click": ("import click", "click.style('a')"),
    "cachetools": ("import cachetools", "cachetools.TTLCache(1, 1).maxsize"),
    "protobuf": ("from google.protobuf import timestamp_pb2", "timestamp_pb2.Timestamp(seconds=1).seconds"),
    "opentelemetry-sdk": ("from opentelemetry import trace\nfrom opentelemetry.sdk.trace import TracerProvider", "type(TracerProvider()).__name__"),
    "pynamodb": ("from pynamodb.attributes import UnicodeAttribute", "UnicodeAttribute().attr_type"),
    "moto": ("import moto", "type(moto.mock_aws()).__name__"),
}  # fmt: skip
HANDLER = """\
{imports}
C = {{"region_name": "eu-west-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}}


def call(function, expected):
    try:
        function()
    except expected as exc:
        return type(exc).__name__


def handler(event, context):
    return {expression}
"""


def distribution(case: str) -> str:
    return case.partition(",")[0]


def install(python: Path, case: str) -> Path | None:
    """A folder with one package and what it needs; None: it has no wheel for this Python."""
    folder = CACHE / distribution(case)
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "-q"]
            pip += ["--no-input", "--only-binary=:all:", "--target", f"{work}/site", distribution(case)]
            done = subprocess.run([str(word) for word in pip], capture_output=True, text=True, timeout=INSTALL_S)
            if done.returncode:
                return None
            # Compiled beforehand, as in a package for Lambda.
            subprocess.run([str(python), "-m", "compileall", "-q", f"{work}/site"], stdout=subprocess.DEVNULL)
            os.replace(f"{work}/site", folder)
    return folder


def version(folder: Path, case: str) -> str:
    name = re.sub(r"[-_.]+", "[-_.]", distribution(case))
    for entry in folder.iterdir():
        found = re.fullmatch(rf"(?i){name}-([^-]+)\.dist-info", entry.name)
        if found:
            return found[1]
    return ""


def first_answer(python: Path, site: Path, case: str, lazy: bool) -> tuple[str, float]:
    """The body that a fresh process posts first, and its CPU milliseconds up to there."""
    imports, expression = CASES[case]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(HANDLER.format(imports=imports, expression=expression))
        told: list[object] = []

        def script(connection):  # type: ignore[no-untyped-def]
            head, body = read_request(connection)
            if b"/init/error " not in head:
                connection.sendall(event_answer(b"{}"))
                _, body = read_request(connection)
            tasks = Path(f"/proc/{process.pid}/task").iterdir()
            ns = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
            told.extend([body.decode(), ns / 1e6])
            connection.sendall(ACCEPTED)

        with ScriptedServer(script) as server:
            env = clean_env(
                PYTHONPATH=f"{ROOT}/src{os.pathsep}{site}", AWS_LAMBDA_RUNTIME_API=server.address, LAMBDA_TASK_ROOT=folder,
                PYTHONDONTWRITEBYTECODE="1", FASTLAMBDA_LAZY_IMPORTS="1" if lazy else "0", AWS_DEFAULT_REGION="eu-west-1",
            )  # fmt: skip
            command = [str(python), "-c", "import fastlambda; fastlambda.main()", "app.handler"]
            process = subprocess.Popen(command, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, log = process.communicate(timeout=RUN_S)
        if not told:
            raise RuntimeError(log.decode(errors="replace")[-600:])
        return str(told[0]), float(told[1])  # type: ignore[arg-type]


def rows(python: Path, cases: list[str], rounds: int) -> Iterator[tuple[str, ...]]:
    for case in cases:
        site = install(python, case)
        if site is None:
            yield case, "", "no wheel for this Python", "", "", ""
            continue
        took: dict[bool, list[float]] = {False: [], True: []}
        answers: dict[bool, str] = {}
        first_answer(python, site, case, False)  # the files are read once
        for _ in range(rounds):
            for lazy in took:
                answers[lazy], ms = first_answer(python, site, case, lazy)
                took[lazy].append(ms)
        eager, lazy_ms = (statistics.median(took[lazy]) for lazy in (False, True))
        same = "the same" if answers[False] == answers[True] else f"**another**: `{answers[True][:80]}`"
        if answers[False].startswith('{"errorMessage"'):
            same = f"fails without the switch, too: `{answers[False][:100]}`"
        yield case, version(site, case), same, f"{eager:.0f}", f"{lazy_ms:.0f}", f"{lazy_ms / eager:.2f}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="dev.py lazy_imports", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", choices=list(CASES), help="this package; may be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes of each kind (default: %(default)s)")
    args = parser.parse_args()
    python = Path(pythons.find("3.15"))
    lines = ["| Package | Version | Answer | eager, ms | lazy, ms | lazy/eager |", "|---|---|---|---|---|---|"]
    for row in rows(python, args.only or list(CASES), args.rounds):
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    if not args.only:
        start, end = "<!-- table -->", "<!-- end of table -->"
        before, _, rest = PAGE.read_text().partition(start)
        PAGE.write_text("\n".join([before + start, *lines, end]) + rest.partition(end)[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
