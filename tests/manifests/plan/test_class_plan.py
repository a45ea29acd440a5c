"""The plan of new classes: who is made of whom, unique keys, even rounds, growth."""

from collections import Counter

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_sources import sources

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.plan.class_plan import (
    ClassPlanOptions,
    build_class_plan,
    made_of_new,
    reproduced,
)
from scoremix.manifests.plan.new_classes import NewClass, random_classes
from scoremix.manifests.plan.plan import PlanOptions, build_plan, group_by_shard, rows_digest
from scoremix.manifests.plan.random_streams import image_seed
from scoremix.manifests.plan.schema import PLAN

HALF = (0.5, 0.5)


def corpus(sizes: list[int]) -> tuple[pa.Table, list[int]]:
    """Classes of these sizes, their images in turn and not class by class."""
    ids = [id_ for turn in range(max(sizes)) for id_, size in enumerate(sizes) if turn < size]
    return sources(ids), ids


def names(sizes: list[int]) -> list[str]:
    return [f"class-{id_}" for id_ in range(len(sizes))]


def planned(
    sizes: list[int], chosen: list[NewClass], per_class: int, shard_size: int = 4, seed: int = 7
) -> pa.Table:
    options = ClassPlanOptions("compose", per_class, shard_size)
    return build_class_plan(corpus(sizes)[0], made_of_new(chosen), options, seed)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 7), min_size=2, max_size=6),
    per_class=st.integers(1, 9),
    share=st.floats(0, 1),
    size=st.integers(1, 9),
    seed=st.integers(0, 2**31),
)
def test_every_plan_of_new_classes(
    sizes: list[int], per_class: int, share: float, size: int, seed: int
) -> None:
    pairs = len(sizes) * (len(sizes) - 1) // 2
    chosen = random_classes(names(sizes), 1 + round(share * (pairs - 1)), (0.7, 0.3), seed)
    table, ids = corpus(sizes)
    plan = planned(sizes, chosen, per_class, size, seed)
    assert plan.schema.equals(PLAN)
    rows = plan.to_pylist()
    real, made = rows[: len(ids)], rows[len(ids) :]
    alone = build_plan(table, PlanOptions(0, 0.2, "auto", "refuse", "x", size), seed)
    assert real == alone.to_pylist(), "round 0 is that of every plan"

    assert len({row["key"] for row in rows}) == len(rows)
    counts = Counter(row["class_id"] for row in made)
    assert counts == {one.id: per_class for one in chosen}
    by_id = {one.id: one for one in chosen}
    for row in made:
        assert row["key"] == f"{row['source_1']}-{row['round']:03d}" and row["method"] == "compose"
        assert (row["source_1"], row["source_2"]) == (f"{row['row_1']:06d}", f"{row['row_2']:06d}")
        assert (ids[row["row_1"]], ids[row["row_2"]]) == by_id[row["class_id"]].classes
        assert row["lambda"] == 0.7 and row["seed"] == image_seed(seed, row["key"])
    rounds = sorted({row["round"] for row in rows})
    assert rounds == list(range(len(rounds)))
    shards = group_by_shard(plan)
    assert pa.concat_tables(shards.values()).equals(plan)
    assert list(shards) == [
        *sorted(n for n in shards if n[0] == "r"),
        *sorted(n for n in shards if n[0] == "a"),
    ]
    assert all(
        part.num_rows <= size and len(pc.unique(part["round"])) == 1 for part in shards.values()
    )


def test_every_round_holds_as_many_images_of_each_class() -> None:
    """20 images of each of three classes, of bases that allow 5, 10 and 6 in a round: 5 each."""
    chosen = [
        NewClass(3, "0+1", (0, 1), HALF, None, "random"),
        NewClass(4, "1+2", (1, 2), HALF, None, "random"),
        NewClass(5, "2+0", (2, 0), HALF, None, "random"),
    ]
    plan = planned([5, 10, 6], chosen, 20)
    for round_ in range(1, 5):
        part = plan.filter(pc.equal(plan["round"], round_))
        assert Counter(part["class_id"].to_pylist()) == {3: 5, 4: 5, 5: 5}
    assert pc.max(plan["round"]).as_py() == 4


def test_fewer_images_are_the_first_rounds_of_more() -> None:
    chosen = random_classes(names([5, 5, 5]), 3, HALF, 1)
    few, many = (planned([5, 5, 5], chosen, count) for count in (10, 20))
    assert rows_digest(many.slice(0, few.num_rows)) == rows_digest(few)


def test_bases_of_a_class_that_is_first_twice_are_not_every_second_one() -> None:
    chosen = [NewClass(2 + place, "a", (0, 1), HALF, None, "random") for place in range(2)]
    made = planned([4, 4], chosen, 8).slice(8).to_pylist()
    for id_ in (2, 3):
        used = Counter(row["row_1"] for row in made if row["class_id"] == id_)
        assert len(used) == 4 and max(used.values()) <= 3


def test_a_class_with_one_image_that_is_first_of_many_takes_a_round_for_each() -> None:
    chosen = [NewClass(4 + i, f"0+{i}", (0, i + 1), HALF, None, "random") for i in range(3)]
    made = planned([1, 3, 3, 3], chosen, 2).slice(10)
    assert sorted(made["round"].to_pylist()) == [1, 2, 3, 4, 5, 6]
    with pytest.raises(ConfigError, match="takes 1200 rounds; 999 is the most"):
        planned([1, 3, 3, 3], chosen, 400)


def test_real_classes_again_are_of_their_own_images_and_keep_their_ids() -> None:
    table, ids = corpus([3, 5, 4])
    options = ClassPlanOptions("reproduce", 6, 4)
    every = reproduced(3, range(3), None, 0)
    made = build_class_plan(table, every, options, 7).slice(12).to_pylist()
    assert Counter(row["class_id"] for row in made) == {0: 6, 1: 6, 2: 6}
    for row in made:
        assert row["row_1"] == row["row_2"] and row["lambda"] == 1.0
        assert ids[row["row_1"]] == row["class_id"]
    two, five, every = (reproduced(9, range(9), count, 0) for count in (2, 5, None))
    assert len(two) == 2 and set(two) <= set(five) <= set(every)
    assert {one.id for one in reproduced(9, [0, 4, 8], None, 0)} == {0, 4, 8}
    with pytest.raises(ConfigError, match="makes the 3 classes of the corpus again"):
        reproduced(4, range(3), 4, 0)


def test_reproduced_images_have_the_keys_of_composed_ones() -> None:
    """So that weights of one class alone give the same images: their noise is that of their key."""
    table, _ = corpus([3, 5, 4])
    chosen = [NewClass(3 + i, "", (i, (i + 1) % 3), (1.0, 0.0), None, "random") for i in range(3)]
    composed = build_class_plan(table, made_of_new(chosen), ClassPlanOptions("compose", 5, 4), 7)
    again = build_class_plan(
        table, reproduced(3, range(3), None, 0), ClassPlanOptions("reproduce", 5, 4), 7
    )
    for name in ("key", "seed", "row_1"):
        assert composed[name].equals(again[name])


def test_a_corpus_without_classes_is_refused() -> None:
    with pytest.raises(ConfigError, match="method is compose, which makes images of classes"):
        build_class_plan(sources([-1] * 4), [], ClassPlanOptions("compose", 5, 4), 0)
