"""echo: the one way in which commands print, safe for names and URLs from outside."""

import click

from ..manifests.foreign_text import fit_to_print


def echo(text: object, *, err: bool = False) -> None:
    """Prints a line, with control characters written out and without the secrets of URLs.

    err: to standard error.
    """
    click.echo(fit_to_print(text), err=err)
