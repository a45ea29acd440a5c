"""Runs commands of scoremix-pipeline one after the other in one process, for a log of trace.c.

    traced.py COMMANDS.json     [[NAME, [WORD, ...] or {"damage": FILE}], ...]

After each a line "end NAME" is appended to $TRACE_LOG, and "command NAME: EXIT-CODE" printed.
"""

import json
import os
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import damaging
import quick_charts  # noqa: F401  (charts are written, and not drawn)
import quick_probes  # noqa: F401

from scoremix.pipeline.cli import commands, exit_code


def main() -> None:
    for name, words in json.loads(Path(sys.argv[1]).read_text()):
        if isinstance(words, dict):
            damaging.flip(Path(words["damage"]), 700, 3)
            code = 0
        else:
            code = exit_code(partial(commands.main, words, standalone_mode=False))
        with open(os.environ["TRACE_LOG"], "a") as log:
            log.write(f"end\t{name}\n")
        print(f"command {name}: {code}", flush=True)


if __name__ == "__main__":
    main()
