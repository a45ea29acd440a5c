"""Secrets of URLs are left out of every text, and characters that a terminal obeys are shown."""

import unicodedata

import pytest

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.foreign_text import printable, redact, redact_all, redact_url, require_whole

SECRET = "X-Amz-Signature=abc123&X-Amz-Credential=AKIA/20261128"


@pytest.mark.parametrize(
    "text, expected",
    [
        (f"https://h/cats.zip?{SECRET}", "https://h/cats.zip?REDACTED"),
        (f"HTTPS://h/cats.zip?{SECRET} b", "HTTPS://h/cats.zip?REDACTED b"),
        (f"source is https://h/c.zip?{SECRET}, which", "source is https://h/c.zip?REDACTED, which"),
        (f"404, url='https://h/c?{SECRET}'", "404, url='https://h/c?REDACTED'"),
        (f'{{"a": "https://h/c?{SECRET}"}}', '{"a": "https://h/c?REDACTED"}'),
        ("https://me:word@h/c.zip failed", "https://REDACTED@h/c.zip failed"),
        ("https://me:wo/rd@h/c.zip failed", "https://REDACTED@h/c.zip failed"),
        ("https://h:80/a@b.png", "https://h:80/a@b.png"),
        ("ftp://token@h/c", "ftp://REDACTED@h/c"),
        ("https://h/c#access_token=1", "https://h/c?REDACTED"),
        (
            f"two https://h/a?{SECRET} http://h/b?x.",
            "two https://h/a?REDACTED http://h/b?REDACTED.",
        ),
        ("abfs://c/x?sv=2026&sig=abc", "abfs://c/x?REDACTED"),
        ("abfss://box@me.dfs.core.windows.net/x", "abfss://box@me.dfs.core.windows.net/x"),
        ("abfs://me:word@h/x", "abfs://REDACTED@h/x"),
        (f"https:/h/c.zip?{SECRET} is no file", "https:/h/c.zip?REDACTED is no file"),
        ("https:/me:word@h/c.zip", "https:/REDACTED@h/c.zip"),
        ("s3://bucket/part-?.tar", "s3://bucket/part-?.tar"),
        ("s3://bucket/part-?/label=3/a.tar", "s3://bucket/part-?/label=3/a.tar"),
        ("https://h/a@b.png, what?", "https://h/a@b.png, what?"),
        ("did you mean ratio=3?", "did you mean ratio=3?"),
    ],
)
def test_secrets_of_urls(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(expected) == expected  # what was stored once is stored so again


def test_values_of_any_depth() -> None:
    config = {"source": [{"source": f"https://h/a?{SECRET}", "path": None}, 3], "run": "r"}
    assert redact_url("https://me@h/c?a b'c\"d") == "https://REDACTED@h/c?REDACTED"
    assert redact_all(config)["source"] == [{"source": "https://h/a?REDACTED", "path": None}, 3]


@pytest.mark.parametrize("url", ["https://h/a.zip?REDACTED", "https://REDACTED@h/a.zip"])
def test_a_url_without_its_query_is_not_opened(url: str) -> None:
    with pytest.raises(ConfigError, match="stored without its query.*--set ingest.source=URL"):
        require_whole(url)


def test_a_url_with_the_word_in_it_is_opened() -> None:
    require_whole("https://h/REDACTED.zip")
    require_whole("https://h/a.zip?REDACTED=1")


@pytest.mark.parametrize(
    "text, expected",
    [
        ("\x1b]0;owned\x07\x1b[2J.png", "\\u001b]0;owned\\u0007\\u001b[2J.png"),
        ("\x9b31m", "\\u009b31m"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("\u2066a\u2069\u200f", "\\u2066a\\u2069\\u200f"),
        ("a\rb\bc\x7f", "a\\rb\\bc\\u007f"),
        ("\udcff", "\\udcff"),
        ("\u2028\ufeff\U000e0041", "\\u2028\\ufeff\\udb40\\udc41"),
        ("Zürich 猫 é\u0301 👍.png\n\tnext", "Zürich 猫 é\u0301 👍.png\n\tnext"),
    ],
)
def test_what_a_terminal_obeys_is_written_out(text: str, expected: str) -> None:
    assert printable(text) == expected
    assert printable(expected) == expected


def test_no_control_character_is_left() -> None:
    text = printable("".join(map(chr, range(0x110000))), line=True)
    assert not {unicodedata.category(letter) for letter in text} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
