from __future__ import annotations

import socket
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import errors
from pydantic import SecretStr

from jobs.errors import Refused, Unavailable
from jobs.prediction.warehouse import connect, explained, url
from jobs.settings import Settings


@given(secret=st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1))
def test_a_url_carries_any_password(secret: str) -> None:
    parts = urlsplit(
        url(Settings(reader_password=SecretStr(secret), warehouse_port=5432), "reader")
    )
    assert unquote(parts.password or "") == secret
    assert (parts.username, parts.port, parts.path) == ("daybreak_reader", 5432, "/warehouse")


def test_a_missing_password_says_which_variable_to_set() -> None:
    with pytest.raises(Refused, match="DAYBREAK_OWNER_PASSWORD"):
        url(Settings(owner_password=None), "owner")


def test_a_server_that_is_not_there_is_unavailable_and_no_secret_is_shown() -> None:
    with socket.socket() as bound:
        # Bound and not listening: nothing else can take the port meanwhile.
        bound.bind(("127.0.0.1", 0))
        settings = Settings(
            warehouse_port=bound.getsockname()[1], reader_password=SecretStr("open sesame")
        )
        with pytest.raises(Unavailable) as raised:
            connect(settings, "reader")
    assert "does not answer" in raised.value.sentence
    assert "daybreak up" in raised.value.remedy
    assert "sesame" not in f"{raised.value}{raised.value.__cause__}"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (psycopg.OperationalError("the connection is lost"), Unavailable),
        (errors.AdminShutdown("terminating"), Unavailable),
        (errors.DiskFull("no space"), Unavailable),
        (errors.LockNotAvailable("timeout"), Unavailable),
        (errors.DeadlockDetected("deadlock"), Unavailable),
        (errors.ProgramLimitExceeded("index row size exceeds"), Refused),
        (errors.NotNullViolation("null"), Refused),
        (errors.InsufficientPrivilege("no"), Refused),
    ],
)
def test_only_what_may_pass_is_tried_again(error: psycopg.Error, kind: type[Exception]) -> None:
    assert type(explained(error, "testing")) is kind
