"""Checks that a trainer which drops incomplete batches can form a full one."""

from dataclasses import replace
from typing import Any

from ...manifests.trainers.requirements import fitting_batch
from ...manifests.trainers.spec import TrainerSpec
from .report import CheckFindings


def with_batch(spec: TrainerSpec, batch: int | None) -> TrainerSpec:
    """The row for a batch that its user will pass, instead of the trainer's usual one."""
    if batch is None or not spec.full_batches:
        return spec
    least = spec.least_images if spec.least_images > spec.batch else 1
    return replace(spec, batch=batch, least_images=least, fixed_batch=True)


def check_batches(spec: TrainerSpec, known: dict[str, Any], findings: CheckFindings) -> None:
    """Adds no-full-batch where none can be formed, small-batch where the usual one cannot."""
    images = trained_images(spec, known)
    needed = spec.batch * spec.full_batches
    if not 0 < images < needed or images < spec.least_images:
        return
    if images == 1 and spec.single_image:  # it cuts many patches out of that one
        return
    fitting = fitting_batch(spec, images)
    each = f"{spec.full_batches} full batches" if spec.full_batches > 1 else "a full batch"
    found = f"{images:,} images, and {each} of {spec.batch} needed"
    if images < spec.full_batches:
        findings.add("no-full-batch", ".", f"{found}; none fits")
    else:
        rule = "no-full-batch" if spec.fixed_batch else "small-batch"
        findings.add(rule, ".", f"{found}; {fitting} fits")


def trained_images(spec: TrainerSpec, known: dict[str, Any]) -> int:
    """Images of an epoch; unpaired: those of the larger side."""
    counts: dict[str, int] = known.get("classes") or {}
    if spec.target == "unpaired":
        return max((count for name, count in counts.items() if name.startswith("train")), default=0)
    return sum(counts.values()) or int(known.get("images", 0))
