"""Options of the section `pilot` of stages.yaml."""

from pydantic import BaseModel, Field

ALGORITHM = 3  # raised whenever equal inputs would lead to another choice


class PilotConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `pilot`: how `generate.method: auto` chooses. Other methods have no pilot."""

    rows: int = Field(default=300, ge=50)  # mixtures that each candidate makes
    # Candidates whose estimated times fit together are made; the others are named and left out.
    minutes: float = Field(default=10.0, gt=0, allow_inf_nan=False)
