"""The share of values that rounding to 8 bits cut off, of the images that pass by."""

from collections.abc import Iterator

from ...stages.generate.generate import GeneratedBatch


class ClippedShare:
    """Counts over batches; extrapolated images leave the range of the data."""

    def __init__(self) -> None:
        self._sum, self._worst, self._count = 0.0, 0.0, 0

    def counting(self, batches: Iterator[GeneratedBatch]) -> Iterator[GeneratedBatch]:
        """The batches unchanged, each counted. Real images have nothing to cut off."""
        for batch in batches:
            if batch.clipped is not None:
                self._sum += float(batch.clipped.sum())
                self._worst = max(self._worst, float(batch.clipped.max()))
                self._count += len(batch.clipped)
            yield batch

    @property
    def text(self) -> str:
        """The share, and that of the worst image."""
        if not self._count:
            return "no image was made, so that no value was cut off"
        share = self._sum / self._count
        return (
            f"{share:.2%} of the values of the {self._count:,} images made here were beyond black"
            f" or white and were cut off; of the worst image {self._worst:.2%}"
        )
