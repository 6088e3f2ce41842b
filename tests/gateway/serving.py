"""The gateway on a port of this process, as the web program serves it."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from apps.gateway.application import Gateway


@contextmanager
def gateway_running() -> Iterator[str]:
    """Its base URL."""
    gateway = Gateway()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        gateway, log_level="warning", lifespan="off", access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)

    def serve() -> None:
        async def whole() -> None:
            await server.serve(sockets=[listener])
            await gateway.close()

        asyncio.run(whole())

    thread = threading.Thread(target=serve, name="gateway-server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()
