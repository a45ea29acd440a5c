"""PixelFile: images come back as they went in, and no file is left, whatever happens."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from scoremix.stages.images.pixel_file import PixelFile


def test_images_come_back_in_order_and_nothing_is_left(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
    with PixelFile(tmp_path / "new", 8, 3) as pixels:
        assert [pixels.append(image) for image in images] == list(range(5))
        assert np.array_equal(pixels.images(), images)
        assert isinstance(pixels.images(), np.memmap) and not pixels.images().flags.writeable
    assert os.listdir(tmp_path / "new") == []


def test_a_killed_process_leaves_no_file(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; import numpy as np; from pathlib import Path\n"
        "from scoremix.stages.images.pixel_file import PixelFile\n"
        "with PixelFile(Path(sys.argv[1]), 8, 1) as pixels:\n"
        "    pixels.append(np.zeros((8, 8, 1), np.uint8)); pixels.images()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert done.returncode == -signal.SIGKILL and os.listdir(tmp_path) == []
