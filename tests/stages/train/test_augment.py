"""Views: the condition is what was done, and where it is zero nothing is changed."""

import numpy as np
import torch

from scoremix.models.network.score_net import VIEW
from scoremix.stages.train.augment import Views, apply_views, draw_views

EYE = np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32)


def view(**changed: object) -> Views:
    """One image's view; nothing is changed but what is given."""
    plain: dict[str, object] = {
        "matrix": EYE[None],
        "moved": np.array([False]),
        "mirrored": np.array([False]),
        "brightness": np.zeros(1, np.float32),
        "contrast": np.ones(1, np.float32),
        "condition": np.zeros((1, VIEW), np.float32),
    }
    return Views(**plain | changed)  # type: ignore[arg-type]


def image() -> torch.Tensor:
    return torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(3))


def test_without_changes_the_image_is_the_same() -> None:
    assert torch.equal(apply_views(image(), view()), image())


def test_a_condition_of_zeros_is_an_unchanged_image() -> None:
    views = draw_views(400, np.random.default_rng(1), 0.15)
    x = torch.rand(400, 1, 8, 8)
    out = apply_views(x, views)
    unchanged = (views.condition == 0).all(axis=1)
    assert 0.1 < unchanged.mean() < 0.3  # .5 * .85^7
    assert torch.equal(out[unchanged], x[unchanged])
    changed = (out != x).flatten(1).any(1).numpy()
    assert (changed[~unchanged]).all()


def test_each_change_happens_as_often_as_asked() -> None:
    condition = draw_views(4000, np.random.default_rng(2), 0.25).condition
    assert abs((condition[:, 0] != 0).mean() - 0.5) < 0.03
    for place in (1, 2, 4, 5, 6, 7, 8):
        assert abs((condition[:, place] != 0).mean() - 0.25) < 0.03, place
    assert np.array_equal(condition[:, 3] != 0, condition[:, 4] != 0)  # of one angle


def test_a_quarter_turn_a_shift_and_a_mirror_are_exact() -> None:
    turn = np.array([[[0, -1, 0], [1, 0, 0]]], dtype=np.float32)
    turned = apply_views(image(), view(matrix=turn, moved=np.array([True])))
    assert torch.allclose(turned, image().rot90(-1, (2, 3)), atol=1e-5) or torch.allclose(
        turned, image().rot90(1, (2, 3)), atol=1e-5
    )
    shift = np.array([[[1, 0, 0.25], [0, 1, 0]]], dtype=np.float32)  # an eighth of the width
    moved = apply_views(image(), view(matrix=shift, moved=np.array([True])))
    assert torch.allclose(moved[..., :7], image()[..., 1:], atol=1e-5)
    mirrored = apply_views(image(), view(mirrored=np.array([True])))
    assert torch.equal(mirrored, image().flip(3))


def test_colour_is_contrast_about_the_middle_and_brightness() -> None:
    changed = view(brightness=np.float32([0.1]), contrast=np.float32([0.5]))
    assert torch.allclose(apply_views(image(), changed), 0.5 * (image() - 0.5) + 0.6)


def test_a_processes_part_of_a_batch_is_the_batchs() -> None:
    views = draw_views(8, np.random.default_rng(4), 0.5)
    x = torch.rand(8, 3, 8, 8)
    whole, part = apply_views(x, views), apply_views(x[4:], views.part(slice(4, 8)))
    assert torch.equal(whole[4:], part)
