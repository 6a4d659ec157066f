"""exec and exec_async against a scripted Runtime API."""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Any

import pytest
from support import ACCEPTED, ScriptedServer, event_answer, read_request

import fastlambda
from fastlambda import Config, LambdaEvent, Runner
from fastlambda.errors import TransportError

ACCEPT_AND_CLOSE = ACCEPTED.replace(b"Date:", b"Connection: close\r\nDate:")


class Sums(Runner[list, dict, dict]):
    ticks: list[int] = []

    async def setup(self, region: str | None) -> list:
        await asyncio.sleep(0)
        return [region]

    async def run(self, shared: list, event: LambdaEvent[dict]) -> dict:
        if event.event.get("fail"):
            raise ValueError("as asked")
        shared.append(event.event["n"])
        return {"sum": sum(shared[1:]), "region": shared[0]}


class PlainSums(Runner[list, dict, dict]):
    def setup(self, region: str | None) -> list:
        return [region]

    def run(self, shared: list, event: LambdaEvent[dict]) -> dict:
        if event.event.get("fail"):
            raise ValueError("as asked")
        shared.append(event.event["n"])
        return {"sum": sum(shared[1:]), "region": shared[0]}


def serve_three(answers: list[tuple[bytes, bytes]]) -> Any:
    """Three events, one of which fails; then the connection ends for good."""

    def script(connection: socket.socket) -> None:
        for n, event in enumerate([b'{"n": 1}', b'{"fail": true}', b'{"n": 2}']):
            head, _ = read_request(connection)
            assert head.startswith(b"GET /2018-06-01/runtime/invocation/next")
            connection.sendall(event_answer(event, f"id-{n}"))
            head, body = read_request(connection)
            answers.append((head.split(b" ")[1], body))
            connection.sendall(ACCEPTED if n < 2 else ACCEPT_AND_CLOSE)

    return script


def check(answers: list[tuple[bytes, bytes]]) -> None:
    base = b"/2018-06-01/runtime/invocation/"
    assert answers[0] == (base + b"id-0/response", b'{"sum":1,"region":"eu-west-1"}')
    assert answers[1][0] == base + b"id-1/error" and b'"errorType": "ValueError"' in answers[1][1]
    assert answers[2] == (base + b"id-2/response", b'{"sum":3,"region":"eu-west-1"}')


@pytest.mark.parametrize("runner", [Sums, PlainSums])
def test_exec_answers_and_ends_when_the_runtime_api_is_gone(runner: Any, capfd: pytest.CaptureFixture[str]) -> None:
    answers: list[tuple[bytes, bytes]] = []
    with ScriptedServer(serve_three(answers), lambda connection: None) as server:
        config = Config(runtime_api=server.address, region="eu-west-1")
        with pytest.raises(TransportError, match="the Runtime API at"):
            fastlambda.exec(runner, config)
    check(answers)


@pytest.mark.parametrize("runner", [Sums, PlainSums])
def test_exec_async_leaves_the_loop_free_while_no_event_has_come(
    runner: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    answers: list[tuple[bytes, bytes]] = []
    ticked = []

    async def main(address: str) -> None:
        async def tick() -> None:
            while True:
                ticked.append(1)
                await asyncio.sleep(0.001)

        ticker = asyncio.create_task(tick())
        try:
            await fastlambda.exec_async(runner, Config(runtime_api=address, region="eu-west-1"))
        finally:
            ticker.cancel()

    def serve_with_hold(connection: socket.socket) -> None:
        for n, event in enumerate([b'{"n": 1}', b'{"fail": true}', b'{"n": 2}']):
            read_request(connection)
            ticks = len(ticked)
            while len(ticked) < ticks + 3:  # the other task runs while the poll waits
                time.sleep(0.001)
            connection.sendall(event_answer(event, f"id-{n}"))
            head, body = read_request(connection)
            answers.append((head.split(b" ")[1], body))
            connection.sendall(ACCEPTED if n < 2 else ACCEPT_AND_CLOSE)

    with ScriptedServer(serve_with_hold, lambda connection: None) as server, pytest.raises(TransportError):
        asyncio.run(main(server.address))
    check(answers)
    assert len(ticked) >= 9
