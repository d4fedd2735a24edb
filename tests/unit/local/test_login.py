"""The gate before MLflow: nothing passes without the user name and the password."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import MutableMapping
from typing import Any

import pytest

from daybreak_local.tracking import Login

Message = MutableMapping[str, Any]
PASSED = 299


async def _inside(scope: Message, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": PASSED, "headers": []})


def _ask(*headers: tuple[bytes, bytes], kind: str = "http") -> list[Message]:
    answers: list[Message] = []

    async def send(message: Message) -> None:
        answers.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    gate = Login(_inside, "daybreak", "pass:wörd")
    asyncio.run(gate({"type": kind, "path": "/", "headers": list(headers)}, receive, send))
    return answers


def _basic(credentials: str) -> tuple[bytes, bytes]:
    return b"Authorization", b"Basic " + base64.b64encode(credentials.encode())


def test_the_right_password_passes() -> None:
    assert _ask(_basic("daybreak:pass:wörd"))[0]["status"] == PASSED


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [_basic("daybreak:wrong")],
        [_basic("somebody:pass:wörd")],
        [_basic("")],
        [(b"authorization", b"Bearer pass")],
        [(b"authorization", b"Basic not-base64!")],
        [_basic("daybreak:pass:wörd"), _basic("daybreak:wrong")],
    ],
)
def test_anything_else_is_asked_for_the_password(headers: list[tuple[bytes, bytes]]) -> None:
    start = _ask(*headers)[0]
    assert start["status"] == 401
    assert b"www-authenticate" in dict(start["headers"])


def test_a_websocket_is_closed_even_with_the_password() -> None:
    answers = _ask(_basic("daybreak:pass:wörd"), kind="websocket")
    assert [answer["type"] for answer in answers] == ["websocket.close"]
