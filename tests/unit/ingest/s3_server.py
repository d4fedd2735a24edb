"""An S3 server on loopback, of which a test can make the reading of objects fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto.server import ThreadedMotoServer

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}


@dataclass
class Faults:
    """Before an S3 server: `planted` is the status and code that it gives in an object's place."""

    server: Callable[..., Any]
    planted: tuple[int, str] | None = None

    def __call__(self, request: dict[str, Any], start: Callable[..., Any]) -> Any:
        is_object = (
            request["REQUEST_METHOD"] == "GET" and "list-type" not in request["QUERY_STRING"]
        )
        if self.planted is None or not is_object:
            return self.server(request, start)
        status, code = self.planted
        start(f"{status} {code}", [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>planted</Message></Error>".encode()]


@contextmanager
def s3_server_with_faults() -> Iterator[tuple[str, Faults]]:
    """A server's address, and where to plant a fault."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    assert server._server is not None
    faults = Faults(server._server.app)
    server._server.app = faults  # type: ignore[assignment]
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}", faults
    finally:
        server.stop()
