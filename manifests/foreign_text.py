"""Text from outside, fit to be printed and stored: no secrets of URLs, no control characters.

A signed URL carries its secret in the query; an escape sequence in a file's name moves the cursor
of the terminal that shows it, and a bidi control shows the name in another order than it has.
"""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

from .errors import ConfigError

REDACTED = "REDACTED"
# A password may have a "/" in it, although it must not: what follows ":" is then no port. Azure's
# abfs://container@account names no user. As a path, a web URL has one "/" left.
_USER = re.compile(
    r"(?<![A-Za-z0-9+.-])(?!(?i:abfss?)://[^\s/@:]*@)([A-Za-z][A-Za-z0-9+.-]*://|(?i:https?):/)"
    r"(?:[^\s/@]*|[^\s/@:]*:(?!\d*(?:[\s/?#]|$))\S*)@"
)
# The query of a web URL; elsewhere "?" may be a part of a pattern, and "?name=" is none.
_WEB_QUERY = re.compile(r"(\bhttps?://?[^\s?#]*)[?#]\S*?(?=[\])}>\"',.;:]*(?:\s|$))", re.IGNORECASE)
_QUERY = re.compile(
    r"(\b[A-Za-z][A-Za-z0-9+.-]*://[^\s?#]*)[?#][^\s/?#]*=\S*?(?=[\])}>\"',.;:]*(?:\s|$))"
)
_WHOLE_WEB = re.compile(r"(https?://?[^?#]*)[?#].+", re.IGNORECASE | re.DOTALL)
_CONTROLS = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode categories, among them bidi and surrogates


def redact(text: str) -> str:
    """The text with user names, passwords and queries of the URLs in it replaced by REDACTED."""
    if ":/" not in text:
        return text
    text = _USER.sub(rf"\1{REDACTED}@", text)
    for query in (_WEB_QUERY, _QUERY):
        text = query.sub(rf"\1?{REDACTED}", text)
    return text


def names_user(url: str) -> bool:
    """Whether a URL has a user name or a password in it."""
    return _USER.match(url) is not None


def redact_url(url: str) -> str:
    """The same of a text that is one URL as a whole: its query may have spaces in it."""
    whole = _WHOLE_WEB.fullmatch(url)
    return redact(f"{whole[1]}?{REDACTED}" if whole else url)


def redact_all(value: Any) -> Any:
    """A value as JSON has it, with every text in it redacted; one that begins as a URL is one."""
    if isinstance(value, str):
        return redact_url(value)
    if isinstance(value, dict):
        return {key: redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item) for item in value]
    return value


def is_incomplete(url: str) -> bool:
    """Whether a URL was stored without its query or user, so that it leads nowhere."""
    left_out = f"?{REDACTED}" in url or f"//{REDACTED}@" in url
    return left_out and url == redact_url(url)


def require_whole(url: str) -> None:
    """Raises ConfigError for a URL that was stored without its query or user."""
    if is_incomplete(url):
        raise ConfigError(
            f"{url} was stored without its query, which may hold a secret, and must be read again."
            " Name the source with its whole URL, as in --set ingest.source=URL."
        )


def printable(text: str, *, line: bool = False) -> str:
    """The text with control, bidi and other invisible characters written out, as \\u001b.

    Line breaks and tabs stay. line: not these either; for a name, which is one line.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = "" if line else "\n\t"
    return "".join(
        json.dumps(letter)[1:-1]
        if unicodedata.category(letter) in _CONTROLS and letter not in kept
        else letter
        for letter in text
    )


def first_names(names: Sequence[str], most: int, between: str = ", ") -> str:
    """The first `most` of some names as a message lists them, and how many more there are."""
    shown = between.join(printable(name, line=True) for name in names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown


def fit_to_print(text: object) -> str:
    """The text for a terminal, a log or a page: printable, and without secrets of URLs."""
    return printable(redact(str(text)))
