"""The plan against theory: who is mixed with whom, how often, with which weight, in which order."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_sources import sources

from scoremix.manifests.errors import ConfigError, InputError, ScoreMixError
from scoremix.manifests.plan.methods import ONE_PARENT
from scoremix.manifests.plan.plan import (
    PlanOptions,
    build_plan,
    group_by_shard,
    resolve_pairing,
    rows_digest,
    soft_label,
    uses_soft_labels,
)
from scoremix.manifests.plan.random_streams import image_seed, stream
from scoremix.manifests.plan.schema import PLAN, SOURCES


def options(**changes: Any) -> PlanOptions:
    defaults: dict[str, Any] = {
        "ratio": 3,
        "alpha": 0.2,
        "pairing": "auto",
        "lone_class": "refuse",
        "method": "scoremix",
        "shard_size": 4,
    }
    return PlanOptions(**(defaults | changes))


corpora = st.one_of(
    st.integers(2, 25).map(lambda n: [-1] * n),
    st.lists(st.integers(2, 6), min_size=1, max_size=4).map(
        lambda sizes: [class_ for class_, size in enumerate(sizes) for _ in range(size)]
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    classes=corpora,
    ratio=st.integers(0, 5),
    size=st.integers(1, 9),
    pairing=st.sampled_from(["auto", "any"]),
    seed=st.integers(0, 2**31),
)
def test_every_plan(classes: list[int], ratio: int, size: int, pairing: str, seed: int) -> None:
    table = sources(classes, rejected=2)
    chosen = options(ratio=ratio, shard_size=size, pairing=pairing)
    plan = build_plan(table, chosen, seed)
    assert plan.schema.equals(PLAN)
    rows = plan.to_pylist()
    count = len(classes)
    assert len(rows) == count * (ratio + 1)
    assert len({row["key"] for row in rows}) == len(rows)

    bases = Counter((row["round"], row["row_1"]) for row in rows)
    assert set(bases.values()) == {1}, "every real image is the base exactly once per round"
    within = resolve_pairing(table, pairing) == "within"
    for row in rows:
        base, partner = row["row_1"], row["row_2"]
        assert row["source_1"] == f"{base:06d}" and row["source_2"] == f"{partner:06d}"
        assert row["seed"] == image_seed(seed, row["key"])
        assert row["class_id"] == (classes[base] if within else -1)
        if row["round"] == 0:
            assert (row["kind"], row["method"], row["lambda"]) == ("real", "real", 1.0)
            assert base == partner and row["key"] == f"{base:06d}"
        else:
            assert (row["kind"], row["method"]) == ("augmented", "scoremix")
            assert base != partner and 0.0 <= row["lambda"] <= 1.0
            assert row["key"] == f"{base:06d}-{row['round']:03d}"
            assert not within or classes[base] == classes[partner]

    shards = group_by_shard(plan)
    assert pa.concat_tables(shards.values()).equals(plan)
    per_round = -(-count // size)
    for place, (name, part) in enumerate(shards.items()):
        assert len(set(part["round"].to_pylist())) == 1, "a shard never straddles rounds"
        assert part["position"].to_pylist() == list(range(part.num_rows))
        assert part.num_rows <= size
        kind, index = ("real", place) if place < per_round else ("aug", place - per_round)
        assert name == f"{kind}-{index:06d}"

    for lower in range(ratio + 1):
        again = build_plan(table, options(ratio=lower, shard_size=size, pairing=pairing), seed)
        first = plan.filter(pc.less_equal(plan["round"], lower))
        assert first.equals(again), "the first rounds ARE the lower ratio"


def test_draws_come_from_the_image_s_own_stream() -> None:
    plan = build_plan(sources([-1] * 7), options(ratio=2), seed=11)
    for row in plan.to_pylist()[7:]:
        random = stream(row["seed"], "plan")
        others = [place for place in range(7) if place != row["row_1"]]
        assert row["row_2"] == others[random.integers(6)]
        assert row["lambda"] == random.beta(0.2, 0.2)


def test_order_of_sources_does_not_matter_and_seed_does() -> None:
    table = sources([0] * 9 + [1] * 9)
    plan = build_plan(table, options(), 0)
    shuffled = table.take(np.random.default_rng(0).permutation(18))
    assert rows_digest(build_plan(shuffled, options(), 0)) == rows_digest(plan)
    assert rows_digest(build_plan(table, options(), 1)) != rows_digest(plan)


def test_the_method_changes_nothing_but_its_name() -> None:
    table = sources([-1] * 9)
    scoremix, mixup = (
        build_plan(table, options(method=method), 0) for method in ("scoremix", "mixup")
    )
    assert mixup.drop_columns(["method"]).equals(scoremix.drop_columns(["method"]))


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_moments_of_lambda_and_partners(alpha: float) -> None:
    """Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)). Partners: uniform over the 19 others."""
    count, ratio = 20, 500
    plan = build_plan(
        sources([-1] * count), options(ratio=ratio, alpha=alpha, shard_size=100), seed=5
    )
    augmented = plan.slice(count)
    lambdas = augmented["lambda"].to_numpy()
    variance = 1 / (4 * (2 * alpha + 1))
    error = np.sqrt(variance / len(lambdas))
    assert abs(lambdas.mean() - 0.5) < 4 * error
    assert abs(lambdas.var() - variance) < 0.05 * variance
    pairs = np.zeros((count, count))
    np.add.at(pairs, (augmented["row_1"].to_numpy(), augmented["row_2"].to_numpy()), 1)
    expected = ratio / (count - 1)
    off = pairs[~np.eye(count, dtype=bool)]
    chi2 = ((off - expected) ** 2 / expected).sum()
    freedom = count * (count - 2)
    assert np.trace(pairs) == 0
    assert abs(chi2 - freedom) < 4 * np.sqrt(2 * freedom)


def test_rounds_are_laid_out_each_in_its_own_order() -> None:
    plan = build_plan(sources([0] * 20 + [1] * 20), options(ratio=2, shard_size=10), 0)
    orders = [plan.slice(40 * r, 40)["row_1"].to_pylist() for r in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    for part in group_by_shard(plan).values():
        assert len(set(part["class_id"].to_pylist())) == 2, "no shard of one class"


def test_digest_of_a_plan_is_this_literal() -> None:
    """Pins streams, draws, order and the canonical spelling; numpy's generators are part of it.

    lambda is rounded here: log and pow may differ in the last bit between C libraries.
    """
    plan = build_plan(sources([0, 0, 1, 1, 1]), options(ratio=2, shard_size=2), seed=0)
    rounded = pa.array(plan["lambda"].to_numpy().round(9))
    plan = plan.set_column(PLAN.names.index("lambda"), PLAN.field("lambda"), rounded)
    assert rows_digest(plan) == LITERAL


LITERAL = "aa3a72ed8f4fe4aedde4485fdaebb98c9ed4d955f5d7ef747280507392f03e3e"


def test_digest_ignores_chunks_and_sees_every_column() -> None:
    plan = build_plan(sources([0, 0, 1, 1, 1]), options(), 0)
    pieces = pa.concat_tables([plan.slice(0, 3), plan.slice(3)])
    assert pieces["key"].num_chunks > 1 and rows_digest(pieces) == rows_digest(plan)
    wider = plan.append_column("extra", [list(range(plan.num_rows))])
    assert rows_digest(wider) == rows_digest(plan), "a manifest has the digest of its plan"
    rows = plan.to_pylist()
    for name, value in rows[-1].items():
        other = value + "x" if isinstance(value, str) else value + 1
        changed = pa.Table.from_pylist(rows[:-1] + [rows[-1] | {name: other}], schema=PLAN)
        assert rows_digest(changed) != rows_digest(plan), name
    assert rows_digest(plan.slice(1)) != rows_digest(plan)


def test_pairing_any_leaves_no_class_on_any_sample() -> None:
    table = sources([0, 0, 0, 1, 1, 1])
    plan = build_plan(table, options(pairing="any", ratio=30), 0)
    assert set(plan["class_id"].to_pylist()) == {-1}
    assert any((row["row_1"] < 3) != (row["row_2"] < 3) for row in plan.to_pylist())
    assert uses_soft_labels(table, "any") and not uses_soft_labels(table, "auto")
    assert not uses_soft_labels(sources([-1, -1]), "any")


@settings(deadline=None)
@given(st.integers(0, 4), st.integers(0, 4), st.floats(0, 1))
def test_soft_label(class_1: int, class_2: int, lambda_: float) -> None:
    label = soft_label(class_1, class_2, lambda_, 5)
    assert len(label) == 5 and sum(label) == pytest.approx(1, abs=1e-15)
    if class_1 == class_2:
        assert label[class_1] == 1.0
    else:
        assert (label[class_1], label[class_2]) == (lambda_, 1 - lambda_)


def test_lone_class_is_refused_by_name_or_pairs_with_itself() -> None:
    table = sources([0, 0, 0, 1, 2])
    with pytest.raises(ConfigError, match=r"2 of 3 classes.*'class-1', 'class-2'.*lone_class"):
        build_plan(table, options(), 0)
    assert build_plan(table, options(ratio=0), 0).num_rows == 5, "nothing is paired at ratio 0"
    build_plan(table, options(pairing="any"), 0)
    for row in build_plan(table, options(lone_class="self"), 0).to_pylist()[5:]:
        assert (row["row_1"] == row["row_2"]) == (row["row_1"] >= 3)


def test_lone_image_without_classes() -> None:
    with pytest.raises(ConfigError, match="one image"):
        build_plan(sources([-1]), options(), 0)
    plan = build_plan(sources([-1]), options(lone_class="self"), 0)
    assert plan["row_2"].to_pylist() == [0] * 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ratio": 1000}, "generate.ratio is 1000"),
        ({"ratio": -1}, "generate.ratio is -1"),
        ({"alpha": 0.0}, "generate.alpha"),
        ({"alpha": float("nan")}, "generate.alpha"),
        ({"alpha": float("inf")}, "generate.alpha"),
        ({"pairing": "between"}, "generate.pairing is 'between'"),
        ({"pairing": "within"}, "no classes"),
        ({"lone_class": "skip"}, "generate.lone_class"),
        ({"shard_size": 0}, "write.shard_size"),
        ({"method": "real"}, "generate.method"),
    ],
)
def test_impossible_options(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_plan(sources([-1] * 4), options(**changes), 0)


def test_labels_that_miss_an_image_or_a_class() -> None:
    with pytest.raises(ConfigError, match="1 of 4 training images have no class: '2.png'"):
        build_plan(sources([0, 0, -1, 0]), options(), 0)
    rows = sources([0, 0]).to_pylist()
    lost = rows[0] | {"status": "rejected", "row": None, "class_id": 1, "class_name": "cat"}
    with pytest.raises(ConfigError, match="No training image is left in class 'cat'"):
        build_plan(pa.Table.from_pylist([*rows, lost], schema=SOURCES), options(), 0)


def test_sources_without_images_or_with_wrong_keys() -> None:
    with pytest.raises(InputError, match="None of the 3 inputs"):
        build_plan(sources([], rejected=3), options(), 0)
    rows = sources([-1, -1]).to_pylist()
    for wrong in ("000000", "7", "0000007", None):  # a gap may be an image that was forgotten
        rows[1]["key"] = wrong
        with pytest.raises(ScoreMixError, match="inconsistent"):
            build_plan(pa.Table.from_pylist(rows, schema=SOURCES), options(), 0)
    rows[1] |= {"key": "000001", "row": 2}
    with pytest.raises(ScoreMixError, match="inconsistent"):
        build_plan(pa.Table.from_pylist(rows, schema=SOURCES), options(), 0)


def test_shards_in_pieces_are_refused() -> None:
    plan = build_plan(sources([-1] * 8), options(ratio=0), 0)
    with pytest.raises(ScoreMixError, match="real-000000 are not adjacent"):
        group_by_shard(pa.concat_tables([plan, plan.slice(0, 1)]))
    assert group_by_shard(plan.slice(0, 0)) == {}


def test_five_thousand_images_at_ratio_ten_take_seconds() -> None:
    """About 1 s on one core; the limit only guards against a quadratic plan."""
    started = time.process_time()
    plan = build_plan(sources([row % 10 for row in range(5000)]), options(ratio=10), 0)
    assert plan.num_rows == 55_000
    assert time.process_time() - started < 10


def test_manifests_import_no_torch_and_nothing_of_ours() -> None:
    root = Path(__file__).resolve().parents[3]
    files = [path.relative_to(root).with_suffix("") for path in (root / "manifests").rglob("*.py")]
    modules = [".".join(path.parts) for path in files if path.name != "__init__"]
    code = "import sys\n" + "".join(f"import scoremix.{name}\n" for name in modules)
    code += (
        "bad = [m for m in sys.modules if m.split('.')[0] in ('torch', 'datasets', 'webdataset')\n"
        "       or m.startswith('scoremix.') and not m.startswith('scoremix.manifests')]\n"
        "sys.exit(repr(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("method", sorted(ONE_PARENT))
def test_methods_of_one_parent_name_it_twice(method: str) -> None:
    """A class with one image needs no partner there."""
    plan = build_plan(sources([0, 0, 1]), options(method=method), 5)
    assert plan.num_rows == 12
    for row in plan.to_pylist():
        assert (row["row_2"], row["source_2"], row["lambda"]) == (row["row_1"], row["source_1"], 1)
    mixed = build_plan(sources([0, 0, 1]), options(lone_class="self"), 5)
    for name in ("key", "shard", "row_1", "class_id", "seed"):
        assert plan[name] == mixed[name], name


@pytest.mark.parametrize("method", ["cutmix", "fmix"])
def test_pasting_methods_plan_lambda_as_whole_pixels(method: str) -> None:
    plan = build_plan(sources([-1] * 20), options(method=method, alpha=1.0), 5, side=9)
    drawn = build_plan(sources([-1] * 20), options(alpha=1.0), 5)
    made = pc.not_equal(plan["round"], 0)
    planned, other = (table.filter(made)["lambda"].to_numpy() for table in (plan, drawn))
    left_out = 81 * (1 - planned)
    assert np.allclose(left_out, np.rint(left_out))
    if method == "cutmix":
        assert np.allclose(np.sqrt(left_out), np.rint(np.sqrt(left_out)), atol=1e-6)
    assert 0 < np.abs(planned - other).max() < (0.12 if method == "cutmix" else 0.0063)
    assert plan["row_2"] == drawn["row_2"]


@pytest.mark.parametrize(
    ("ids", "method", "pairing", "digest"),
    [
        ([0, 1, 1, 0, 2, 2, 2], "scoremix", "auto", "3f30dd12a21e7fb4c1bfa9d5751c535b"),
        ([-1] * 9, "fmix", "auto", "249e2b19aa13f0fef1f0d52b15dd69e5"),
        ([0, 1, 1, 0], "sample", "any", "e09e1a5d0af6b20e4ad8572dc78c67d8"),
    ],
)
def test_plans_are_those_of_runs_made_before(
    ids: list[int], method: str, pairing: str, digest: str
) -> None:
    """Literals from the version that had no plan of new classes."""
    chosen = options(lone_class="self", method=method, pairing=pairing, shard_size=3)
    assert rows_digest(build_plan(sources(ids), chosen, 5, 8)).startswith(digest)
