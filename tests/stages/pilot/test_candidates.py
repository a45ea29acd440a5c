"""Which candidates fit into the time, in their order."""

from scoremix.stages.pilot.candidates import (
    BRIDGE,
    FEWEST,
    FRESH,
    KEPT,
    MIXUP,
    SCOREMIX,
    choose_in_time,
    rows_in_time,
)


def test_all_that_fit_together_are_made() -> None:
    found = choose_in_time({MIXUP: 0.0, BRIDGE: 30.0, SCOREMIX: 30.0}, 1.0)
    assert found.chosen == (MIXUP, BRIDGE, SCOREMIX) and not found.left_out


def test_one_that_does_not_fit_is_named_and_leaves_its_time_to_the_next() -> None:
    found = choose_in_time({MIXUP: 0.0, BRIDGE: 400.0, SCOREMIX: 50.0}, 1.0)
    assert found.chosen == (MIXUP, SCOREMIX)
    reason = found.left_out[BRIDGE]
    assert "6 min 40 s" in reason and "pilot.minutes: 1" in reason and "1 min 0 s" in reason


def test_fresh_noise_makes_the_encodings_itself_where_bridge_does_not_fit() -> None:
    found = choose_in_time({MIXUP: 0.0, BRIDGE: 400.0, FRESH: 20.0, SCOREMIX: 50.0}, 1.0)
    assert found.chosen == (MIXUP, SCOREMIX) and "6 min 40 s" in found.left_out[FRESH]
    found = choose_in_time({MIXUP: 0.0, BRIDGE: 40.0, FRESH: 20.0}, 1.0)
    assert found.chosen == (MIXUP, BRIDGE, FRESH)


def test_the_baseline_is_made_whatever_it_takes() -> None:
    assert choose_in_time({MIXUP: 99.0, BRIDGE: 1.0}, 0.01).chosen == (MIXUP,)


def test_fewer_mixtures_are_made_where_nothing_by_the_network_fits_else() -> None:
    each = {MIXUP: 0.0, KEPT: 0.5, BRIDGE: 2.5, SCOREMIX: 99.0}
    assert rows_in_time(each, 300, 60.0) == 300
    assert rows_in_time(each, 300, 10.0) == 200
    costs = {name: 200 * one for name, one in each.items()}
    assert choose_in_time(costs, 10.0).chosen == (MIXUP, KEPT, BRIDGE)
    assert rows_in_time(each, 300, FEWEST * 3 / 60) == FEWEST
    assert rows_in_time(each, 300, FEWEST * 3 / 60 - 0.1) == 300, "too few would say nothing"
    assert rows_in_time(each | {SCOREMIX: 1.0}, 300, 10.0) == 300, "scoremix fits"
    assert rows_in_time({MIXUP: 0.0, KEPT: 0.0, BRIDGE: 0.0}, 50, 1e-9) == 50
