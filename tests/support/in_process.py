"""scoremix-pipeline in the test's own process."""

from scoremix.pipeline.cli import commands, exit_code


def cli(*words: object) -> int:
    """Runs a command; its exit code. What it prints is the test's to capture."""
    return exit_code(lambda: commands.main([*map(str, words)], standalone_mode=False))
