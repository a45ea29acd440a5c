"""A partition of a corpus: some of its shards, to spread a long verification over many days."""

import re
from dataclasses import dataclass

from ..errors import ConfigError

_LARGE = re.compile(r"((?:real|aug)-\d{6,})\.(?:tar|parquet)")


def parse_fraction(text: str) -> tuple[int, int] | None:
    """ "3/10" -> (3, 10); None for any other text."""
    number, slash, count = text.partition("/")
    if slash and number.isdecimal() and count.isdecimal():
        return int(number), int(count)
    return None


@dataclass(frozen=True)
class Partition:
    """The number-th of `count` parts of the shards, from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Partition":
        """ "N/T". Raises ConfigError unless 1 <= N <= T."""
        numbers = parse_fraction(text)
        if numbers is not None and 1 <= numbers[0] <= numbers[1]:
            return cls(*numbers)
        raise ConfigError(f"The part {text!r} was asked for; use N/T, as in 1/10 to 10/10.")

    def other_files(self, names: list[str]) -> set[str]:
        """Tars and Parquet files of the other parts; this one has every count-th shard by name."""
        large = {name: match[1] for name in names if (match := _LARGE.fullmatch(name))}
        place = {stem: index for index, stem in enumerate(sorted(set(large.values())))}
        return {name for name in large if place[large[name]] % self.count != self.number - 1}
