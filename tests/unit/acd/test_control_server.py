"""The HTTP server says which key names the address that it cannot have."""

from __future__ import annotations

import socket

import pytest

from acd.control.app import ControlServer
from tests.support.control import Centre


async def test_an_address_that_is_taken_is_named_with_its_key() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        server = ControlServer(Centre().context(), "127.0.0.1", port)
        with pytest.raises(
            OSError, match=f"http.listen: cannot listen on 127.0.0.1:{port}: Address already in use"
        ):
            await server.start()
