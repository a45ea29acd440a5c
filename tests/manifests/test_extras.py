"""require imports a package, or says which extra installs it and what else can be done."""

import configparser
import re
from pathlib import Path

import pytest

from scoremix.manifests.errors import ConfigError
from scoremix.manifests.extras import require

ROOT = Path(__file__).resolve().parents[2]


def test_a_module_that_is_there_is_returned() -> None:
    assert require("json.decoder", "dev", "A test").JSONDecoder


def test_one_that_is_not_is_named_with_its_extra_and_the_alternative() -> None:
    with pytest.raises(ConfigError) as caught:
        require("no_such_package.inner", "eval", "The metric", instead="use pixels")
    assert str(caught.value) == (
        "The metric needs the package no_such_package, which cannot be imported (No module named"
        " 'no_such_package'). Install it: pip install \"scoremix-pipeline[eval]\", or use pixels."
    )
    with pytest.raises(ConfigError, match=r'\[eval\]"\.$'):
        require("no_such_package", "eval", "The metric")


def test_every_extra_that_is_named_exists_and_has_its_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    used = set()
    for folder in ("pipeline", "stages", "models", "manifests"):
        for path in (ROOT / folder).rglob("*.py"):
            used |= set(re.findall(r'require\(\s*"(\w+)[\w.]*", "(\w+)"', path.read_text()))
    names = {"sklearn": "scikit-learn", "skimage": "scikit-image"}
    assert len(used) >= 8
    for module, extra in used:
        assert re.search(rf"^{names.get(module, module)}\b", extras[extra], re.M), (module, extra)
