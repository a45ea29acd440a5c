"""Imports packages that only some commands need; where one is missing, says what to install."""

import importlib
from typing import Any

from .errors import ConfigError

# Where a package is not named as the module that it installs.
_PACKAGES = {"cleanfid": "clean-fid", "skimage": "scikit-image", "sklearn": "scikit-learn"}


def require(
    module: str,
    extra: str | None,
    user: str,
    *,
    instead: str = "",
    error: type[Exception] = ConfigError,
) -> Any:
    """The module `module`, imported; it comes with the extra `extra` of this package.

    extra: None for a package that no extra installs.
    user: what needs it, as the subject of a sentence: "The report".
    instead: what else the user can do: "set write.encoder: pillow".

    Raises:
        `error`: the module, or one that it needs, cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as cause:
        top = module.partition(".")[0]
        package = _PACKAGES.get(top, top)
        what = f'"scoremix-pipeline[{extra}]"' if extra else package
        raise error(
            f"{user} needs the package {package}, which cannot be imported"
            f" ({str(cause).splitlines()[0]}). Install it: pip install {what}"
            + (f", or {instead}." if instead else ".")
        ) from cause
