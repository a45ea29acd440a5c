"""The command line: the script `scoremix-pipeline`, and `python -m scoremix`."""

import sys


def main() -> None:
    """Imports the commands and runs one; interrupted meanwhile, it ends as a command does."""
    try:
        from scoremix.pipeline.cli import main as run
    except KeyboardInterrupt:
        from scoremix.pipeline.signals import forget_interrupt

        forget_interrupt()
        sys.stderr.write("interrupted: the same command resumes.\n")
        sys.exit(75)
    run()


if __name__ == "__main__":
    main()
