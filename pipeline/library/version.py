"""The version of the installed distribution."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """As pip has it; "0+unknown" where the sources are used without being installed."""
    try:
        return version("scoremix-pipeline")
    except PackageNotFoundError:
        return "0+unknown"
