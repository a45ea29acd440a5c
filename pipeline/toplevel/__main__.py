"""The command line: the script `scoremix-pipeline`, and `python -m scoremix`."""

import sys


def main() -> None:
    """Imports the commands and runs one; interrupted meanwhile, it ends as a command does."""
    try:
        from scoremix.pipeline.cli import main as run
    except KeyboardInterrupt:
        from scoremix.manifests.errors import Interrupted
        from scoremix.pipeline.signals import INTERRUPTED, forget_interrupt

        forget_interrupt()
        sys.stderr.write(f"{INTERRUPTED}\n")
        sys.exit(Interrupted.exit_code)
    run()


if __name__ == "__main__":
    main()
