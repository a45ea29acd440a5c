"""`python -m scoremix`: the command line, where its script is not on PATH."""

from scoremix.pipeline.cli import main

main()
