"""The command `inspect`: what shards hold, where one image comes from, what became of a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...manifests.errors import ConfigError
from ...manifests.files.atomic import write_bytes
from ...manifests.foreign_text import first_names
from ...manifests.storage.location import Place
from ...manifests.storage.store import store_of
from ..echo import echo
from ..ledger import find_run, find_shards
from .options import JSON, LOCAL, PLACE, print_json

if TYPE_CHECKING:
    from ...manifests.published.inspect import PublishedCorpus
    from ..source_names import SourceNames

_CLASSES = 12  # that the summary names
_BAR = 40  # letters of the longest bar


@click.command()
@click.argument("shards", type=PLACE)
@click.argument("key", metavar="[KEY|FILE]", required=False)
@click.option("--image", type=LOCAL, help="Also write the image to this new file.")
@JSON
def inspect(shards: Place, key: str | None, image: Path | None, as_json: bool) -> None:
    """Count what SHARDS holds; with KEY or FILE, show where one image comes from.

    KEY: as 000007 (a real image) or 000007-003 (made from it, round 3), or the name of an exported
    image. FILE: a file of the sources. Their names are known where the run is: SHARDS is a run
    folder, or lies in or beside one.
    """
    from ...manifests.published.inspect import PublishedCorpus
    from ..own_places import refuse_existing, refuse_output_among

    place, run = find_shards(shards), find_run(shards)
    corpus = PublishedCorpus(store_of(place))
    if image is not None:
        refuse_output_among(image, [run], [place])
    if key is None:
        summary = corpus.summary()
        if as_json:
            print_json(summary)
        else:
            echo(_summary(summary))
        return
    from ..source_names import SourceNames

    names = SourceNames.of_run(run)
    found, row = _resolved(corpus, names, key)
    if found is None:
        assert row is not None
        if as_json:
            print_json({"file": row})
        else:
            echo(f"{row['name']}: {_fate(row)}")
        if image is not None:
            raise ConfigError(f"{row['name']} is no image of the corpus, so that --image has none.")
        return
    shown = corpus.lineage(found)
    files = names.by_key()
    keys = [shown["sample"]["source_1"], shown["sample"]["source_2"]]
    shown["files"] = {one: files.get(one) for one in dict.fromkeys(keys)}
    shown["used_by"] = corpus.count_children(found)
    if image is not None:
        data = corpus.image_bytes(found)
        refuse_existing(image, lambda there: there == data)
        write_bytes(image, data)
    if as_json:
        print_json(shown)
    else:
        echo(_lineage(shown, corpus.class_names, run is not None))


def _resolved(
    corpus: "PublishedCorpus", names: "SourceNames", asked: str
) -> tuple[str | None, dict[str, Any] | None]:
    """(key, None); or (None, row of sources.parquet) of a file that is not in the corpus."""
    from ...manifests.trainers.layout import key_from_path
    from ...stages.corpus.store import FORGOTTEN

    if corpus.has_key(asked):
        return asked, None
    row = names.find(asked)
    if row is not None and row["key"] and corpus.has_key(row["key"]):
        return row["key"], None
    if row is not None:
        return None, row
    exported = key_from_path(asked)
    if exported and corpus.has_key(exported):
        return exported, None
    gone = any(row["status"] == FORGOTTEN for row in names.rows)
    raise corpus.unknown_key(asked, known_names=bool(names.rows), forgotten=gone)


def _fate(row: dict[str, Any]) -> str:
    """What became of a file that is no training image."""
    words = {
        "reference": "held out: the evaluation compares with it, no image is made from it",
        "duplicate": "left out as a duplicate",
        "rejected": "rejected",
        "unused": "not used",
    }
    text = words.get(row["status"], str(row["status"]))
    return f"{text} ({row['reason']})" if row["reason"] else text


def _summary(summary: dict[str, Any]) -> str:
    """The counts of a corpus in some lines."""
    from ...manifests.plan.methods import CLASS_METHODS
    from ...stages.common.units import format_bytes

    kinds = summary["kinds"]
    # Lambda is the weight of a class then, and a round is none for each real image.
    made = set(summary["methods"]) - {"real"}
    by_class = bool(made) and CLASS_METHODS.issuperset(made)
    rounds = "round" if summary["ratio"] == 1 else "rounds"
    per = f"in {summary['ratio']} {rounds}" if by_class else f"ratio {summary['ratio']}"
    lines = [
        f"{summary['name']}: {summary['samples']:,} images in {summary['shards']:,} shards,"
        f" {format_bytes(summary['bytes']['folder'])}",
        f"real:     {kinds.get('real', 0):,}",
        f"made:     {kinds.get('augmented', 0):,}, {per}, by "
        + (", ".join(name for name in summary["methods"] if name != "real") or "no method")
        + (", contrast kept" if summary.get("contrast") == "kept" else ""),
    ]
    if because := summary.get("method_chosen_because"):
        lines.append(f"          {because}")
    named = {name: count for name, count in summary["classes"].items() if name is not None}
    if named:
        shown = [f"{name} ({count:,})" for name, count in named.items()]
        lines.append(f"classes:  {len(named):,}: {first_names(shown, _CLASSES)}")
    counts, edges = summary["lambda_histogram"]["counts"], summary["lambda_histogram"]["edges"]
    if (most := max(counts, default=0)) and not by_class:
        lines.append("lambda, the weight of parent 1, of the images made:")
        for low, high, count in zip(edges, edges[1:], counts, strict=False):
            bar = "#" * round(_BAR * count / most)
            lines.append(f"  {low:.1f} to {high:.1f}  {count:>9,}  {bar}".rstrip())
    return "\n".join(lines)


def _lineage(shown: dict[str, Any], classes: list[str], has_run: bool) -> str:
    """Where an image comes from, in some lines."""
    sample = shown["sample"]
    id_ = sample["class_id"]
    named = f", class {classes[id_]}" if 0 <= id_ < len(classes) else ""
    if sample["kind"] == "real":
        lines = [f"{sample['key']}: a real image{named}"]
        lines.append(f"file:     {_file(shown, sample['key'], has_run)}")
        lines.append(f"used by:  {shown['used_by']:,} of the images made")
    else:
        how = sample["method"] + (", contrast kept" if shown.get("contrast") == "kept" else "")
        lines = [f"{sample['key']}: made by {how}, round {sample['round']}{named}"]
        weights = [sample["lambda"], 1.0 - sample["lambda"]]
        if new := shown.get("new_class"):
            lines.append(f"mixes:    {_members(new)}")
            weights = new["weights"][:2]  # of three classes two have a parent
        keys = (sample["source_1"], sample["source_2"])
        if keys[0] == keys[1]:
            lines.append(f"parent:   {keys[0]}, {_file(shown, keys[0], has_run)}")
        else:
            for number, (key, weight) in enumerate(zip(keys, weights, strict=True), 1):
                file = _file(shown, key, has_run)
                lines.append(f"parent {number}: {key}, weight {weight:.3f}, {file}")
        if sample["soft_label"]:
            pairs = zip(classes, sample["soft_label"], strict=False)
            parts = [f"{name} {weight:.3f}" for name, weight in pairs if weight]
            lines.append(f"label:    {', '.join(parts)}")
        lines.append(f"seed:     {sample['seed']}")
    place = f"{sample['shard']}.tar, {sample['size']:,} bytes at {sample['offset']:,}"
    lines.append(f"image:    {sample['width']} x {sample['height']} px in {place}")
    lines.append(f"sha256:   {sample['sha256']}")
    if sample["license"]:
        lines.append(f"license:  {sample['license']}")
    return "\n".join(lines)


def _members(new: dict[str, Any]) -> str:
    """The classes of a new class with their weights, and how they were chosen."""
    pairs = zip(new["members"], new["weights"], strict=True)
    mixed = " and ".join(f"{weight:g} {name}" for name, weight in pairs)
    far = "" if new["distance"] is None else f", distance {new['distance']:.4f}"
    return f"{mixed}, chosen {new['selection']}{far}"


def _file(shown: dict[str, Any], key: str, has_run: bool) -> str:
    name = shown["files"].get(key)
    if name is not None:
        return str(name)
    return "a forgotten file" if has_run else "a file whose name the run folder alone has"
