"""The template of a recogniser's command, `recognition.command`, and the files that it leaves."""

from ..trial.command import PLACEHOLDERS, check_template, placeholders_of

UNSEEN, HELD_OUT = "unseen", "held_out"
RECOGNISER_PLACEHOLDERS = (*PLACEHOLDERS, UNSEEN, HELD_OUT, "affine")
EMBEDDINGS, PREDICTIONS = "unseen.npy", "predictions.txt"


def check_recogniser_template(text: str) -> str:
    """The command template itself; raises ValueError for a placeholder that is not known, or where
    nothing would judge its recogniser."""
    check_template(text, RECOGNISER_PLACEHOLDERS)
    if not placeholders_of(text) & {UNSEEN, HELD_OUT}:
        raise ValueError(
            f"it must name {{{UNSEEN}}}, and leave {EMBEDDINGS} in {{out}}, or {{{HELD_OUT}}}, and"
            f" leave {PREDICTIONS} there, or both (docs/recognition.md)"
        )
    return text
