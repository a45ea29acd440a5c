"""Names with braces: expanded as the library does, and counted before that."""

import time
from pathlib import Path

import pytest
from webdataset.shardlists import braceexpand

from scoremix.manifests.errors import ConfigError
from scoremix.stages.sources import braces
from scoremix.stages.sources.remote import probe

PATTERNS = [
    "plain",
    "a-{00..12}.tar",
    "{4..-1}{1..9..3}x{,.gz}",
    "python{2.{5..7},3.{2,3}}-{a}",
    "{a{0..99},b{0..99},c{0..99}}",
    "{x}{{1,2},{3}}\\{1,2\\}",
    "{a..e..2}{e..A}{a..A..-3}",
    "{a..z}{a..z}{a..z}.tar",
    "{00000..99999}.tar",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_names_are_those_of_the_library_and_counted_before(pattern: str) -> None:
    names = list(braceexpand.braceexpand(pattern))
    assert braces.expand_braces(pattern) == names
    assert braces._count(pattern) == len(names)


@pytest.mark.parametrize(
    "pattern",
    [
        "{0..99999999}.tar",
        "a-{0..99}{0..99}{0..99}{0..99}.tar",
        "{" + "a," * 50_000 + "{0..60000}}",
        "{0.." + "9" * 5000 + "}",
        "{0..90000}" + "x" * 2000,
        "{a,b}" * 64,
    ],
)
def test_names_beyond_number_are_refused_at_once(pattern: str) -> None:
    begin = time.process_time()
    with pytest.raises(ConfigError, match="stands for more names than a source has"):
        braces.expand_braces(f"/data/{pattern}")
    with pytest.raises(ConfigError, match="stands for more names"):
        probe(f"memory://{pattern}")
    assert time.process_time() - begin < 2


@pytest.mark.parametrize("pattern", ["{1{2,3}", "a}{0..3}", "{" * 3])
def test_braces_that_do_not_match_are_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match="brace without its counterpart"):
        braces.expand_braces(pattern)


def test_deep_braces_are_refused() -> None:
    with pytest.raises(ConfigError, match="braces in braces"):
        braces.expand_braces("{" * 5000 + "a,b" + "}" * 5000)


def test_a_file_whose_name_has_braces_is_itself(tmp_path: Path) -> None:
    from scoremix.stages.sources.patterns import expand_pattern

    (tmp_path / "{1.tar").touch()
    assert expand_pattern(str(tmp_path / "{1.tar")) == [str(tmp_path / "{1.tar")]
