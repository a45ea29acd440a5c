"""Options of the section `write` of stages.yaml."""

from typing import Literal

from pydantic import BaseModel, Field


class WriteConfig(BaseModel, frozen=True, extra="forbid"):
    """Section `write`."""

    format: Literal["png"] = "png"
    encoder: Literal["auto", "pillow", "isal"] = "auto"  # isal: faster, files a little larger
    shard_size: int = Field(default=1000, ge=1)  # images a shard

    def resolved(self) -> "WriteConfig":
        """The config with `encoder: auto` resolved."""
        return self.model_copy(update={"encoder": "pillow"}) if self.encoder == "auto" else self
