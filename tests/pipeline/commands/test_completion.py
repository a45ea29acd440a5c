"""Completion of commands and options in a shell, as docs/install.md sets it up."""

import os
import subprocess
import sys

import pytest

PROGRAM = (
    "import sys; sys.argv[0] = 'scoremix-pipeline'; from scoremix.pipeline.cli import main; main()"
)


def ask(instruction: str, **words: str) -> str:
    environment = {**os.environ, **words, "_SCOREMIX_PIPELINE_COMPLETE": instruction}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    assert "_SCOREMIX_PIPELINE_COMPLETE" in ask(f"{shell}_source")


def test_commands_and_options_are_completed() -> None:
    typed = "scoremix-pipeline augm"
    assert "augment" in ask("bash_complete", COMP_WORDS=typed, COMP_CWORD="1")
    typed = "scoremix-pipeline augment --rat"
    assert "--ratio" in ask("bash_complete", COMP_WORDS=typed, COMP_CWORD="2")
