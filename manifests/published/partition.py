"""A part of a corpus: some of its shards, so that a long check can be spread over many days."""

import re
from dataclasses import dataclass

from ..errors import ConfigError

_LARGE = re.compile(r"((?:real|aug)-\d{6,})\.(?:tar|parquet)")


@dataclass(frozen=True)
class Partition:
    """The number-th of `of` parts of the shards, from 1."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Partition":
        """ "N/T". Raises ConfigError unless 1 <= N <= T."""
        number, slash, of = text.partition("/")
        if slash and number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of):
            return cls(int(number), int(of))
        raise ConfigError(f"The part {text!r} was asked for; use N/T, as in 1/10 to 10/10.")

    def left_out(self, names: list[str]) -> set[str]:
        """Tars and Parquet files of the other parts; every T-th shard by name is in this one."""
        large = {name: match[1] for name in names if (match := _LARGE.fullmatch(name))}
        place = {stem: index for index, stem in enumerate(sorted(set(large.values())))}
        return {name for name in large if place[large[name]] % self.of != self.number - 1}
