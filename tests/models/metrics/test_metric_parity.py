"""The same features give the same numbers as the packages that people compare with.

Their functions are read out of their files, without the package's imports: several import
torchvision at once, which breaks where its build is not torch's. The independent references that
need no package are in test_distances.py, test_prdc.py and test_metrics.py.
"""

import ast
import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from scoremix.models.metrics.classifier_score import classifier_score
from scoremix.models.metrics.distances import frechet_distance, kernel_distance
from scoremix.models.metrics.kernel import kernel_over_subsets
from scoremix.models.metrics.prdc import prdc

Floats = NDArray[np.float64]
CLOSE = 1e-6  # relative


def functions_of(package: str, file: str, **known: Any) -> Any:
    """The functions and constants of PACKAGE/file, with `known` for what they refer to."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package} is not installed")
    tree = ast.parse(Path(spec.submodule_search_locations[0], file).read_text())
    kept = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.Assign)]
    names = {"np": np, "torch": torch, "Tensor": torch.Tensor, "Optional": Optional} | known
    module = ast.Module([node for node in kept if not _refers_to_imports(node)], [])
    exec(compile(module, file, "exec"), names)
    return SimpleNamespace(**names)


def _refers_to_imports(node: ast.stmt) -> bool:
    """Assignments are kept where they are constants."""
    return isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant)


def torch_fidelity(file: str) -> Any:
    options = {
        "kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None,
        "kid_kernel_poly_coef0": 1, "verbose": False, "rng_seed": 2020,
    }  # fmt: skip

    def vassert(truth: bool, message: str) -> None:
        assert truth, message

    return functions_of(
        "torch_fidelity",
        file,
        get_kwarg=lambda name, given: (options | given)[name],
        vassert=vassert,
        vprint=lambda *told: None,
        tqdm=lambda steps, **options: steps,
    )


@pytest.fixture(scope="module")
def sets() -> tuple[Floats, Floats]:
    """Two sets like a network's features: positive, skewed, correlated; more images than D."""
    random = np.random.default_rng(0)
    mixing = random.normal(size=(24, 24))
    x = np.abs(random.normal(size=(300, 24)) @ mixing)
    y = np.abs(1.2 * random.normal(size=(300, 24)) @ mixing + 0.5)
    return x, y


def covariance(x: Floats) -> Floats:
    return np.asarray(np.cov(x, rowvar=False))


def test_frechet_as_clean_fid(sets: tuple[Floats, Floats]) -> None:
    linalg = pytest.importorskip("scipy.linalg", reason="scipy is not installed")

    def sqrtm(matrix: Floats, disp: bool = True) -> Any:  # newer SciPy takes no `disp`
        root = linalg.sqrtm(matrix)
        return root if disp else (root, 0.0)

    theirs = functions_of("cleanfid", "fid.py", linalg=SimpleNamespace(sqrtm=sqrtm))
    x, y = sets
    expected = theirs.frechet_distance(x.mean(0), covariance(x), y.mean(0), covariance(y))
    assert frechet_distance(x, y) == pytest.approx(float(expected), rel=CLOSE)


def test_kernel_as_clean_fid(sets: tuple[Floats, Floats]) -> None:
    x, y = sets
    theirs = functions_of("cleanfid", "fid.py")
    assert kernel_distance(x, y) == pytest.approx(
        theirs.kernel_distance(x, y, num_subsets=1), rel=CLOSE
    )
    np.random.seed(0)  # theirs draws from the global stream
    drawn = theirs.kernel_distance(x, y, num_subsets=200, max_subset_size=100)
    ours = kernel_over_subsets(x, y, seed=1, subset_size=100, subsets=200)
    assert abs(ours.mean - drawn) < 5 * ours.std / np.sqrt(200)


def test_frechet_as_torch_fidelity(sets: tuple[Floats, Floats]) -> None:
    theirs = torch_fidelity("metric_fid.py")
    statistics = [theirs.fid_features_to_statistics(torch.from_numpy(each)) for each in sets]
    expected = theirs.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    assert frechet_distance(*sets) == pytest.approx(expected, rel=CLOSE)


def test_kernel_as_torch_fidelity(sets: tuple[Floats, Floats]) -> None:
    theirs = torch_fidelity("metric_kid.py")
    tensors = [torch.from_numpy(each) for each in sets]
    found = theirs.kid_features_to_metric(*tensors, kid_subsets=1, kid_subset_size=300)
    expected = found["kernel_inception_distance_mean"]
    assert kernel_distance(*sets) == pytest.approx(expected, rel=CLOSE)


def test_classifier_score_as_torch_fidelity(sets: tuple[Floats, Floats]) -> None:
    theirs = torch_fidelity("metric_isc.py")
    expected = theirs.isc_features_to_metric(torch.from_numpy(sets[0]), shuffle=False)
    found = classifier_score(sets[0])
    assert found.mean == pytest.approx(expected["inception_score_mean"], rel=CLOSE)
    assert found.std == pytest.approx(expected["inception_score_std"], rel=CLOSE)


def test_precision_and_recall_as_torch_fidelity(sets: tuple[Floats, Floats]) -> None:
    theirs = torch_fidelity("metric_prc.py")
    real, fake = (torch.from_numpy(each) for each in sets)
    precision, recall = theirs.calculate_precision_recall_full(fake, real, neighborhood=3)
    found = prdc(*sets, k=3)
    assert (found.precision, found.recall) == pytest.approx((precision, recall), rel=CLOSE)


def test_as_torchmetrics(sets: tuple[Floats, Floats]) -> None:
    x, y = (torch.from_numpy(each) for each in sets)
    kernel = functions_of("torchmetrics", "image/kid.py").poly_mmd(x, y)
    assert kernel_distance(*sets) == pytest.approx(float(kernel), rel=CLOSE)
    moments = [m for each in sets for m in (each.mean(0), covariance(each))]
    theirs = functions_of("torchmetrics", "image/fid.py")
    frechet = theirs._compute_fid(*(torch.from_numpy(each) for each in moments))
    assert frechet_distance(*sets) == pytest.approx(float(frechet), rel=CLOSE)


@pytest.mark.parametrize("k", [1, 5])
def test_as_prdc(sets: tuple[Floats, Floats], k: int) -> None:
    theirs = pytest.importorskip("prdc", reason="prdc is not installed")
    real, fake = sets[0], sets[1][:200]
    expected = theirs.compute_prdc(real, fake, k)
    found = vars(prdc(real, fake, k))
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=CLOSE)
