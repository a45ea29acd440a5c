"""moto's S3 in a process of its own: `python s3_server.py` prints its addresses and serves.

moto's own server is made for a few requests: for each it finds out which of two hundred services
is meant, with a look at as many folders, goes through Flask, starts a thread and ends the
connection. Here its S3 answers, over connections that stay, as those to a real store do; at the
second address they end after one request.
"""

import asyncio
import io
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import web
from moto.core.request import Request
from moto.s3.responses import S3Response
from multidict import CIMultiDict

_LARGEST = 1 << 30  # bytes of a request


def environment(request: web.Request, body: bytes) -> dict[str, Any]:
    """A request in the form of WSGI."""
    path, _, query = request.raw_path.partition("?")
    fields = {
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": request.raw_path,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
    }
    for name, value in request.headers.items():
        fields.setdefault(f"HTTP_{name.upper().replace('-', '_')}", value)
    fields.pop("HTTP_TRANSFER_ENCODING", None)  # the body is here already
    return fields


async def answer(request: web.Request) -> web.Response:
    """A request whose body was cut off changes nothing."""
    try:
        asked = Request(environment(request, await request.read()))
    except ConnectionError:
        return web.Response(status=400)  # nobody is there to get it
    _, _, key = asked.raw_path[1:].partition("/")
    dispatch = S3Response.key_dispatch if key else S3Response.ambiguous_dispatch
    status, fields, content = dispatch(asked, asked.raw_url, dict(asked.headers))
    headers = CIMultiDict({name: str(value) for name, value in fields.items()})
    if request.method != "HEAD":
        headers.popall("Content-Length", None)  # aiohttp's to say
    body = content.encode() if isinstance(content, str) else content
    return web.Response(status=status, headers=headers, body=body)


async def answer_and_close(request: web.Request) -> web.Response:
    response = await answer(request)
    response.force_close()
    return response


async def listen(answering: Callable[[web.Request], Awaitable[web.Response]]) -> str:
    """Returns the address."""
    application = web.Application(client_max_size=_LARGEST)
    application.router.add_route("*", "/{path:.*}", answering)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    return f"http://{host}:{port}"


async def serve() -> None:
    print(await listen(answer), await listen(answer_and_close), flush=True)
    await asyncio.Event().wait()


def end_with_the_parent() -> None:
    """Its end of the pipe closes when it ends, however it ends."""
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=end_with_the_parent, daemon=True).start()
    asyncio.run(serve())
