"""HTTP: a server may not send a request on to another host.

The other host would be one that the user did not name: with the names and sizes of what is asked
for, in a network that only this machine can reach, or with the query of a signed URL.
"""

from functools import cache
from typing import Any

from ..errors import ConfigError
from ..foreign_text import redact


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
    while found is not None:
        if isinstance(found, RedirectRefused):
            raise found
        found = found.__cause__ or found.__context__
