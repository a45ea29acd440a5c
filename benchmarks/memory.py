"""MEMORY: peak memory of whole commands, including every process they start.

    python benchmarks/memory.py ingest --images 100000 --side 32
    python benchmarks/memory.py augment --images 1000 --side 64

Samples /proc every 20 ms: resident memory, and the part of it that does not belong to a mapped file
(corpus/images.npy is mapped; the kernel drops its pages when it needs memory).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ingest import generate


def tree(root: int) -> list[int]:
    """`root` and all its descendants."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def resident(pid: int) -> tuple[int, int]:
    """Bytes in memory: all, and without mapped files."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    kilobytes = {name: int(fields[name].split()[0]) for name in ("VmRSS", "RssAnon", "RssShmem")}
    return kilobytes["VmRSS"] << 10, (kilobytes["RssAnon"] + kilobytes["RssShmem"]) << 10


def watch(command: list[str]) -> dict[str, float]:
    """Runs the command to its end; peak bytes over the sum of all its processes."""
    begin = time.perf_counter()
    process = subprocess.Popen(command)
    peaks = [0, 0]
    while process.poll() is None:
        sums = [0, 0]
        for pid in tree(process.pid):
            try:
                sums = [total + part for total, part in zip(sums, resident(pid), strict=True)]
            except (FileNotFoundError, ProcessLookupError, KeyError):  # it has just ended
                continue
        peaks = [max(peak, total) for peak, total in zip(peaks, sums, strict=True)]
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "resident": peaks[0], "without_mapped_files": peaks[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["ingest", "augment"])
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--side", type=int, default=64, help="pixels of files and corpus")
    parser.add_argument("--out", type=Path, help="PATH.json gets another entry")
    asked, more = parser.parse_known_args()  # unknown options belong to the command
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        generate(root / "images", asked.images, asked.side, "png")
        command = [sys.executable, "-m", "scoremix.pipeline.cli"]
        settings = ["--set", f"ingest.resolution={asked.side}", *more]
        if asked.what == "ingest":
            (root / "stages.yaml").write_text("run: run\ningest: {source: images}\n")
            command += ["run", str(root / "stages.yaml"), "--until", "ingest", *settings]
        else:
            places = ["--data", str(root / "images"), "--out", str(root / "shards")]
            command += ["augment", *places, *settings]
        facts = {"command": " ".join(["scoremix-pipeline", *command[3:]]).replace(temporary, "")}
        facts |= {"images": asked.images, "side": asked.side, **watch(command)}
        mapped = sum(path.stat().st_size for path in root.rglob("corpus/*.npy"))
        facts |= {"mapped_files": mapped}
    print(json.dumps(facts, indent=1))
    if asked.out:
        path = asked.out.with_suffix(".json")
        earlier = json.loads(path.read_text()) if path.exists() else []
        path.write_text(json.dumps([*earlier, facts], indent=1) + "\n")


if __name__ == "__main__":
    main()
