"""HTTP: what a server's refusals mean, and none may send a request on to another host.

The other host would be one that the user did not name: with the names and sizes of what is asked
for, in a network that only this machine can reach, or with the query of a signed URL.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from ..errors import ConfigError, InputError, Interrupted
from ..foreign_text import redact

_LONGEST_SILENCE = 20.0  # seconds without a byte, until the request is made anew
_POLL = 0.25  # seconds between checks for a stop
_ABSENT = (404, 410)
_PASSING = (408, 416, 425, 429)  # of 4xx: what another attempt may cure


class RequestRefused(ConfigError):
    """A server answers a request with a status that repeating it does not change."""


class RedirectRefused(ConfigError):
    """A server has sent a request on to another host."""


def client_options(patience: float) -> dict[str, Any]:
    """Options of aiohttp's session, for fsspec. Raises ImportError without aiohttp.

    Bytes are taken as they are sent: a few megabytes of gzip would be unpacked to as many
    gigabytes. A whole answer may take any time, and a part of it `patience` seconds.
    """
    import aiohttp

    silence = min(max(patience, 1.0), _LONGEST_SILENCE)
    return {
        "trace_configs": [_trace_config()],
        "headers": {"Accept-Encoding": "identity"},
        "auto_decompress": False,
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=silence, sock_read=silence),
    }


def get_bounded(
    fs: Any, url: str, path: str, limit: int | None, stopping: Callable[[], bool]
) -> None:
    """Downloads a URL through fsspec's HTTP file system `fs` to the local file `path`.

    limit: bytes at most, or None.

    Raises:
        InputError: the server sends more.
        Interrupted: `stopping()` became true.
    """
    import asyncio
    import concurrent.futures

    get = fs._get_file(url, path, callback=_bound()(url, limit))
    future = asyncio.run_coroutine_threadsafe(get, fs.loop)
    while not future.done():
        concurrent.futures.wait([future], _POLL)
        if stopping() and not future.done():
            future.cancel()
            raise Interrupted(f"Stopped while {redact(url)} was fetched; run it again to go on.")
    future.result()


@cache
def _bound() -> Any:
    """The class of a callback that counts bytes."""
    from fsspec.callbacks import Callback

    class Bound(Callback):  # type: ignore[misc]
        """Raises InputError once more than `limit` bytes have come."""

        def __init__(self, url: str, limit: int | None) -> None:
            super().__init__()
            self._url, self._limit, self._count = url, limit, 0

        def relative_update(self, inc: int = 1) -> None:
            self._count += inc
            if self._limit is not None and self._count > self._limit:
                raise InputError(
                    f"{redact(self._url)} sends more than {self._limit:,} bytes, which is what it"
                    " announces or what there is room for. Fetch it another way, and name the file."
                )

    return Bound


@cache
def _trace_config() -> Any:
    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_refuse_other_host)
    return trace


async def _refuse_other_host(session: Any, context: Any, params: Any) -> None:
    import yarl

    headers = params.response.headers
    there = params.url.join(yarl.URL(headers.get("Location") or headers.get("URI") or ""))
    same = there.host == params.url.host and (
        (there.scheme, there.port) == (params.url.scheme, params.url.port)
        or (params.url.scheme, there.scheme) == ("http", "https")
    )
    if not same:
        raise RedirectRefused(
            f"{redact(str(params.url))} is sent on to {there.scheme}://{there.host}, another"
            " server than the one named. If you trust it, name the URL there itself; `curl -sI"
            " URL` shows it as Location."
        )


def raise_refusal(error: BaseException) -> None:
    """Raises the RedirectRefused that an error comes from, if it comes from one."""
    found: BaseException | None = error
    seen: list[BaseException] = []  # chains can have circles
    while found is not None and found not in seen:
        if isinstance(found, RedirectRefused):
            raise found
        seen.append(found)
        found = found.__cause__ or found.__context__


def failure_behind(error: FileNotFoundError) -> BaseException | None:
    """What fsspec's HTTP file system took for absence and is none; None for absence.

    Its `info` turns every error into FileNotFoundError: a server's 500, a refused connection.
    """
    cause = error.__cause__
    if getattr(cause, "status", None) in _ABSENT or isinstance(cause, ValueError):
        return None
    return cause


def raise_status(what: str, error: Exception) -> None:
    """Raises RequestRefused for an answer of aiohttp's that no other attempt changes.

    what: for the message, as in "reading https://host/name".
    """
    status = getattr(error, "status", None)
    if type(error).__module__.split(".")[0] != "aiohttp" or not isinstance(status, int):
        return
    if 400 <= status < 500 and status not in _PASSING:
        raise RequestRefused(
            f"{what} was refused: the server answers {status}. Correct the URL, or ask for a new"
            " one: one that is signed expires."
        ) from error
