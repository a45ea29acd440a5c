"""HTTP: what a server's refusals mean, and none may send a request on to another host.

The other host would be one that the user did not name: with the names and sizes of what is asked
for, in a network that only this machine can reach, or with the query of a signed URL.
"""

from functools import cache
from typing import Any

from ..errors import ConfigError
from ..foreign_text import redact

_ABSENT = (404, 410)
_PASSING = (408, 416, 425, 429)  # of 4xx: what another attempt may cure


class RequestRefused(ConfigError):
    """A server answers a request with a status that repeating it does not change."""


class RedirectRefused(ConfigError):
    """A server has sent a request on to another host."""


def client_options() -> dict[str, Any]:
    """Options of aiohttp's session, for fsspec. Raises ImportError without aiohttp."""
    return {"trace_configs": [_trace_config()]}


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
