"""Stands in for `python` in a printed command: parses the words as the trainer does, then stops.

    python parse_only.py train.py --data=...            its own parser, argparse's or click's
    python parse_only.py -c "code" WORD...              compiles the code
    python parse_only.py -c "code" train.py --data=...  that, and parses as above
    python parse_only.py -m torch.distributed.run ... train.py ...

Appends {"script", "options"} as a line of JSON to the file that PARSED names. Ends with 77 where
the trainer's own imports are missing.
"""

import argparse
import json
import os
import runpy
import sys
from typing import Any
from unittest.mock import MagicMock


def record(script: str, options: dict[str, Any]) -> None:
    with open(os.environ["PARSED"], "a", encoding="utf-8") as file:
        file.write(json.dumps({"script": script, "options": options}, default=str) + "\n")
    raise SystemExit(0)


def main(words: list[str]) -> None:
    if words[0] == "-c":
        compile(words[1], "<command>", "exec")
        if not words[2:] or not words[2].endswith(".py"):
            record("-c", {"words": words[2:]})
    at = next(place for place, word in enumerate(words) if word.endswith(".py"))
    script, sys.argv = words[at], words[at:]
    sys.path.insert(0, os.path.dirname(os.path.abspath(script)))
    parse = argparse.ArgumentParser.parse_args

    def parse_args(self: Any, *arguments: Any, **named: Any) -> None:
        record(script, vars(parse(self, *arguments, **named)))

    argparse.ArgumentParser.parse_args = parse_args  # type: ignore[method-assign]
    try:
        import click
        import torch
        import torch.utils.cpp_extension

        def invoke(self: Any, context: Any) -> None:
            record(f"{script} {self.name}", context.params)

        click.Command.invoke = invoke  # type: ignore[method-assign]
        torch.utils.cpp_extension.load = MagicMock()  # kernels need nvcc, and are not run
        torch.distributed.init_process_group = MagicMock()
        torch.cuda.set_device = MagicMock()
        runpy.run_path(script, run_name="__main__")
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        raise SystemExit(77) from error


if __name__ == "__main__":
    del sys.path[0]
    main(sys.argv[1:])
