"""EXPORT: rate and memory of exporting a folder, zip, HDF5 file or LMDB, against `cp -r`.

    python benchmarks/export.py --out benchmarks/results/export

Makes a corpus of 11,000 images at 64 px (1,000 real, ten rounds) and exports it to every target in
its own process, each followed by `cp -r` of the export and one sync, in turn and three times. The
rate is payload bytes per second, sync included on both sides; memory is the process's peak beyond
that of its imports. Prints a Markdown table and writes it beside a JSON.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))  # for made.py

from made import make_corpus  # noqa: E402

from scoremix.manifests.files.atomic_tree import count_files  # noqa: E402

TARGETS = {
    "folder (imagefolder)": ["--to", "imagefolder", "--out", "folder"],
    "zip (stylegan)": ["--to", "stylegan", "--out", "corpus.zip"],
    "hdf5 (biggan)": ["--trainer", "biggan", "--out", "hdf5"],
    "lmdb (rosinality)": ["--trainer", "rosinality", "--out", "lmdb"],
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=1000, help="real images")
    parser.add_argument("--ratio", type=int, default=10)
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", help="folder for the data; default: a temporary one")
    parser.add_argument("--out", default="benchmarks/results/export")
    parser.add_argument("--one", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one)
        return
    with tempfile.TemporaryDirectory(dir=options.work) as folder:
        result = measure(Path(folder), options)
    Path(f"{options.out}.json").write_text(json.dumps(result, indent=2) + "\n")
    Path(f"{options.out}.md").write_text(table(result))
    print(table(result))


def measure(work: Path, options: argparse.Namespace) -> dict[str, Any]:
    shards = generated(work, options)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in TARGETS}
    for _ in range(options.repeats):
        for name, words in TARGETS.items():
            runs[name].append(exported_and_copied(shards, work, words))
    targets = {name: median(found) for name, found in runs.items()}
    tree = next(iter(targets.values()))["copy_megabytes_per_second"]
    for row in targets.values():
        row["rate_against_copy_of_tree"] = row["megabytes_per_second"] / tree
    return {
        "images": options.images * (options.ratio + 1),
        "resolution": options.resolution,
        "repeats": options.repeats,
        "machine": machine(),
        "targets": targets,
        "runs": runs,
    }


def generated(work: Path, options: argparse.Namespace) -> Path:
    """The shards of a corpus of ten classes, written out to the disk."""
    shards = make_corpus(
        work,
        images=options.images,
        side=options.resolution,
        classes=tuple(f"class {index}" for index in range(10)),
        ratio=options.ratio,
        shard_size=1000,
    )
    subprocess.run(["sync"], check=True)
    return shards


def machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def exported_and_copied(shards: Path, work: Path, words: list[str]) -> dict[str, float]:
    """One export in a new process, then `cp -r` of its output and a sync."""
    out = work / words[-1]
    command = [sys.executable, __file__, "--one", str(shards), *words[:-1], str(out)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    files, size = count_files(out)
    copy = work / "copy"
    begin = time.perf_counter()
    subprocess.run(["cp", "-r", str(out), str(copy)], check=True)
    subprocess.run(["sync", "-f", str(copy)], check=True)
    seconds = time.perf_counter() - begin
    for path in (out, copy):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    out.with_name(f"{out.name}.export.json").unlink()
    subprocess.run(["sync"], check=True)
    return json.loads(done.stdout) | {"files": files, "bytes": size, "copy_seconds": seconds}


def one(words: list[str]) -> None:
    """Exports in this process and prints seconds and peak memory as JSON.

    Hides pandas, which a plain install lacks: pyarrow would load it.
    """
    sys.meta_path.insert(0, WithoutPandas())
    from scoremix.stages.common.progress import Silent
    from scoremix.stages.export.export import ExportConfig, export

    shards, option, name, _, out = words
    config = ExportConfig.model_validate({option.removeprefix("--"): name})
    before = resident()
    begin = time.perf_counter()
    export(Path(shards), Path(out), config, progress=Silent())
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "extra_bytes": peak() - before, "peak_bytes": peak()}))


class WithoutPandas:
    """An importer that has no pandas."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


def resident() -> int:
    """Resident memory of this process now, in bytes."""
    return _memory("VmRSS")


def peak() -> int:
    """Its peak; not getrusage's, which starts from the peak of the parent process."""
    return _memory("VmHWM")


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (found,) = (line.split()[1] for line in lines if line.startswith(f"{name}:"))
    return int(found) * 1024


def median(runs: list[dict[str, float]]) -> dict[str, float]:
    row = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    row["megabytes_per_second"] = row["bytes"] / row["seconds"] / 1e6
    row["copy_megabytes_per_second"] = row["bytes"] / row["copy_seconds"] / 1e6
    row["rate_against_own_copy"] = row["copy_seconds"] / row["seconds"]
    return row


def processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def table(result: dict[str, Any]) -> str:
    machine = result["machine"]
    lines = [
        f"# Export of {result['images']:,} images at {result['resolution']} px\n",
        f"Medians of {result['repeats']} runs; {machine['processor']}, {machine['cores']} cores, "
        f"Python {machine['python']}. Each export in a process of its own, without pandas, one "
        "sync at the end; `cp -r` of what was exported, and a sync, right after it. Memory: the "
        "process's peak, and how much of it came with the export.\n",
        "| target | files | MB | export | `cp -r` of it | byte rate against `cp -r` of the folder "
        "| against `cp -r` of itself | memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in result["targets"].items():
        lines.append(
            f"| {name} | {row['files']:,.0f} | {row['bytes'] / 1e6:.1f} | {row['seconds']:.2f} s, "
            f"{row['megabytes_per_second']:.0f} MB/s | {row['copy_seconds']:.2f} s, "
            f"{row['copy_megabytes_per_second']:.0f} MB/s | {row['rate_against_copy_of_tree']:.2f} "
            f"| {row['rate_against_own_copy']:.2f} | {row['peak_bytes'] / 1e6:.0f} MB, "
            f"{row['extra_bytes'] / 1e6:.0f} MB |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
