"""The error of all extractors."""


class FeaturesError(ValueError):
    """Features cannot be computed; the message says what to do."""
