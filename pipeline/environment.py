"""What the bytes of a shard depend on besides plan and recipe: libraries and processor.

Recorded in every marker. All shards of a plan are made in one environment, unless the user says
otherwise: images from another one are as good, but a shard made again would have other bytes.
"""

import torch

from ..manifests.errors import ConfigError
from ..stages.generate.recipe import Recipe
from ..stages.write.write import describe_environment
from .ledger import Ledger

_DECIDES = ("device", "torch", "numpy", "pillow", "zlib", "pyarrow", "machine")


def current_environment(device: str) -> dict[str, str]:
    """This process's environment; `device` is cpu or cuda."""
    return describe_environment(torch.device(device))


def planned_environment(ledger: Ledger, recipe: Recipe, device: str) -> dict[str, str]:
    """The environment in which a plan's shards are to be made: where the first plan of its recipe
    was made, so that a ratio that is raised elsewhere does not go unnoticed."""
    before = ledger.stages.get("plan", {})
    known: dict[str, str] | None = before.get("outcome", {}).get("environment")
    if known is not None and before.get("inputs", {}).get("recipe") == recipe.as_json():
        return known
    return current_environment(device)


def check_environment(ledger: Ledger, device: str, accepted: bool) -> None:
    """Raises ConfigError if this is not the plan's environment, unless that was accepted."""
    planned: dict[str, str] | None = ledger.outcome("plan").get("environment")
    if planned is None or accepted:
        return
    found = current_environment(device)
    recipe = ledger.stages["plan"]["inputs"].get("recipe", {})
    decides = [*_DECIDES, "isal"] if recipe.get("encoder") == "isal" else _DECIDES
    differs = [name for name in decides if planned.get(name) != found.get(name)]
    if differs:
        changes = "; ".join(f"{name} {planned.get(name)} -> {found.get(name)}" for name in differs)
        raise ConfigError(
            f"The plan was made in another environment ({changes}). Shards made here would differ"
            " in their last bits from those made there: pixels within a grey level, files by their"
            " hashes. Use the plan's environment, or add --accept-environment: every shard's"
            " marker then says where it was made."
        )
