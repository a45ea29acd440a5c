"""Imports packages that only some commands need; where one is missing, says what to install.

models/, which imports nothing of the other folders, raises errors of the same form itself.
"""

import importlib
from typing import Any

from .errors import ConfigError

# Where a package is not named as the module that it installs.
_PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}


def require(module: str, extra: str, user: str, *, instead: str = "") -> Any:
    """The module `module`, imported; it comes with the extra `extra` of this package.

    user: what needs it, as the subject of a sentence: "The report".
    instead: what else the user can do: "set write.encoder: pillow".

    Raises:
        ConfigError: the module, or one that it needs, cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        top = module.partition(".")[0]
        reason = str(error).partition("\n")[0]
        raise ConfigError(
            f"{user} needs the package {_PACKAGES.get(top, top)}, which cannot be imported"
            f' ({reason}). Install it: pip install "scoremix-pipeline[{extra}]"'
            + (f", or {instead}." if instead else ".")
        ) from error
