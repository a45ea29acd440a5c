"""The losses of recognisers: closed forms, angles computed by hand, gradients."""

import math

import pytest
import torch
import torch.nn.functional as F

from scoremix.models.recognition.heads import Head, add_angle
from scoremix.models.recognition.names import HeadName

S, M = 16.0, 0.2


def head(name: HeadName, margin: float = M, classes: int = 5) -> Head:
    return Head(name, 8, classes, S, margin, seed=3)


def some(count: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.randn((count, 8), generator=random), torch.arange(count) % 5


@pytest.mark.parametrize("name", ["cosface", "arcface"])
def test_without_a_margin_it_is_the_softmax_of_scaled_cosines(name: HeadName) -> None:
    e, labels = some()
    made = head(name, margin=0.0)
    cosines = F.cosine_similarity(e[:, None], made.weight[None], dim=2)
    torch.testing.assert_close(made(e, labels), S * cosines)
    expected = F.cross_entropy(S * cosines, labels)
    torch.testing.assert_close(F.cross_entropy(made(e, labels), labels), expected)


@pytest.mark.parametrize("name", ["cosface", "arcface"])
def test_the_margin_is_of_the_own_class_alone_and_absent_without_labels(name: HeadName) -> None:
    e, labels = some()
    made = head(name)
    plain, changed = made(e), made(e, labels)
    own = F.one_hot(labels, 5).bool()
    assert torch.equal(plain[~own], changed[~own])
    assert bool((changed[own] < plain[own]).all())


def test_cosface_subtracts_its_margin_from_the_cosine() -> None:
    e, labels = some()
    made = head("cosface")
    difference = (made(e) - made(e, labels)).gather(1, labels[:, None])
    torch.testing.assert_close(difference, torch.full_like(difference, S * M))


@pytest.mark.parametrize("degrees", [20, 60, 90, 150])
def test_arcface_adds_its_margin_to_the_angle(degrees: int) -> None:
    """Two unit vectors in a plane: the angle is known without a cosine's inverse."""
    made = Head("arcface", 2, 2, S, M, seed=0)
    theta = math.radians(degrees)
    with torch.no_grad():
        made.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -3.0]]))
    e = 5.0 * torch.tensor([[math.cos(theta), math.sin(theta)]])
    logits = made(e, torch.tensor([0]))
    assert logits[0, 0].item() == pytest.approx(S * math.cos(theta + M), abs=1e-4)
    assert logits[0, 1].item() == pytest.approx(-S * math.sin(theta), abs=1e-4)


def test_beyond_half_a_turn_a_worse_embedding_never_has_the_better_loss() -> None:
    cosines = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    turned = add_angle(cosines, 0.5)
    assert bool((turned.diff() > 0).all())
    at_pi = -math.cos(0.5)  # theta + .5 = pi
    near = add_angle(torch.tensor([at_pi - 1e-9, at_pi + 1e-9], dtype=torch.float64), 0.5)
    torch.testing.assert_close(near, torch.full_like(near, -1.0), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["softmax", "cosface", "arcface"])
def test_gradients_are_those_of_finite_differences(name: HeadName) -> None:
    made = head(name).double()
    e, labels = some(4)

    def loss(embeddings: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        logits = torch.func.functional_call(made, {"weight": weight}, (embeddings, labels))
        return F.cross_entropy(logits, labels)

    given = e.double().requires_grad_(), made.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, given)


def test_an_embedding_on_its_class_vector_has_a_finite_gradient() -> None:
    made = head("arcface")
    e = (2.0 * made.weight[:1]).detach().requires_grad_()
    F.cross_entropy(made(e, torch.tensor([0])), torch.tensor([0])).backward()
    assert e.grad is not None and bool(torch.isfinite(e.grad).all())
