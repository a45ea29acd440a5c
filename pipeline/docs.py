"""Files of the documentation that are derived from the code.

python -m scoremix.pipeline.docs docs/
"""

import json
import sys
from pathlib import Path

import click

from ..stages.check.docs import text as check_text
from .cli import commands
from .config import Config
from .trainers_docs import trainers_text


def schema_text() -> str:
    """The JSON Schema of stages.yaml, for editors."""
    return json.dumps(Config.model_json_schema(), indent=2, sort_keys=True) + "\n"


def commands_text() -> str:
    """The --help of every command, 100 columns wide."""
    parts = ["# The commands\n\nThe `--help` of every command. Made by `make docs`.\n"]
    names = [None, *commands.commands]
    for name in names:
        command = commands if name is None else commands.commands[name]
        path = "scoremix-pipeline" + ("" if name is None else f" {name}")
        # The group's -h holds for its commands too: click keeps the first names it was asked for.
        context = click.Context(
            command,
            info_name=path,
            terminal_width=100,
            max_content_width=100,
            help_option_names=["-h", "--help"],
        )
        parts.append(f"## {path}\n\n```text\n{command.get_help(context)}\n```\n")
    return "\n".join(parts)


DERIVED = {"stages.schema.json": schema_text, "commands.md": commands_text, "check.md": check_text}

# What stands between these lines of a document, the rest of which is written by hand.
BEGIN, END = "<!-- derived: make docs -->\n", "<!-- end of what is derived -->\n"
REGIONS = {"trainers.md": trainers_text}


def with_region(document: str, text: str) -> str:
    """The document with `text` between its two marks."""
    head, _, rest = document.partition(BEGIN)
    return head + BEGIN + text + END + rest.partition(END)[2]


def main(folder: Path) -> None:
    for name, text in DERIVED.items():
        (folder / name).write_text(text())
    for name, text in REGIONS.items():
        document = folder / name
        document.write_text(with_region(document.read_text(), text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
