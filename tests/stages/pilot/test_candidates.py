"""Which candidates fit into the time, in their order."""

from scoremix.stages.pilot.candidates import BRIDGE, MIXUP, SCOREMIX, choose_in_time


def test_all_that_fit_together_are_made() -> None:
    found = choose_in_time({MIXUP: 0.0, BRIDGE: 30.0, SCOREMIX: 30.0}, 1.0)
    assert found.chosen == (MIXUP, BRIDGE, SCOREMIX) and not found.left_out


def test_one_that_does_not_fit_is_named_and_leaves_its_time_to_the_next() -> None:
    found = choose_in_time({MIXUP: 0.0, BRIDGE: 400.0, SCOREMIX: 50.0}, 1.0)
    assert found.chosen == (MIXUP, SCOREMIX)
    reason = found.left_out[BRIDGE]
    assert "6 min 40 s" in reason and "pilot.minutes: 1" in reason and "1 min 0 s" in reason


def test_the_baseline_is_made_whatever_it_takes() -> None:
    assert choose_in_time({MIXUP: 99.0, BRIDGE: 1.0}, 0.01).chosen == (MIXUP,)
