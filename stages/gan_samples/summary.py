"""The figures of generated images as a table and in words; for the screen and for the page."""

from typing import Any

_SHORT = ("precision", "recall", "density", "coverage")  # columns after both distances
_NEEDS_WEIGHTS = ("cs_", "is", "lpips", "pd_")
_COPYING = -3.0  # of C_T, as its authors have it
_LISTED = 3  # names in a sentence

Report = dict[str, Any]


def table(report: Report) -> tuple[list[str], list[list[str]]]:
    """Column heads, and a row for each set and for the real images."""
    measures = _measures(report)
    heads = ["set", "images", f"{report['kd']} x 1000", report["fd"], *_SHORT, "copies", "C_T"]
    heads += measures
    rows = []
    for one in report["sets"]:
        kernel = one["kernel"]
        told = f"{1000 * kernel['value']:.3g} ± {1000 * kernel['standard_error']:.2g}"
        rows.append(_row(one["name"], one["judged"], one["records"], report, measures, told))
    for name in ("training images", "held-out images"):
        records = [record for record in report["real"] if record["subset"] == name]
        if records:
            rows.append(_row(name, records[0]["n"], records, report, measures))
    return heads, rows


def _measures(report: Report) -> list[str]:
    """Names of what was measured because weights were given."""
    names = (record["name"] for one in report["sets"] for record in one["records"])
    return list(dict.fromkeys(name for name in names if name.startswith(_NEEDS_WEIGHTS)))


def _row(
    name: str,
    n: int,
    records: list[Report],
    report: Report,
    measures: list[str],
    kernel: str | None = None,
) -> list[str]:
    found = {record["name"]: record for record in records}
    kinds = {record["name"].partition("_")[0]: record for record in records}
    if kernel is None:
        own = found.get(report["kd"])
        kernel = "" if own is None else f"{1000 * own['value']:.3g}"
    distance = found.get(report["fd"])
    star = " *" if distance and distance["notes"] else ""
    cells = [name, f"{n:,}", kernel, (_number(distance) + star)]
    cells += [_number(kinds.get(kind)) for kind in _SHORT]
    copies = kinds.get("copies")
    cells.append("" if copies is None else f"{copies['value']:.1%}")
    cells.append(_number(kinds.get("ct")))
    return cells + [_number(found.get(name)) for name in measures]


def _number(record: Report | None) -> str:
    return "" if record is None or record["value"] is None else f"{record['value']:.3g}"


def text_table(report: Report) -> str:
    """The table for a screen."""
    heads, rows = table(report)
    widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(heads))]
    lines = []
    for row in [heads, *rows]:
        first, *rest = (
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join([first, *rest]).rstrip())
    return "\n".join(lines)


def summary(report: Report) -> list[str]:
    """What there is to say, a sentence or two each; the most important first."""
    lines = [_best(report)] if report["best"] else [_single(report)]
    for one in report["sets"]:
        lines += _of_set(one)
    lines.append(_yardstick(report))
    label = report["features"].get("label")
    if label is not None:
        lines.append(
            f"Features: {label}. They see layout, contrast and ghosts; of blur and grain the less"
            " the larger the images are; --features takes a network (a TorchScript file) instead."
        )
    if any(record["notes"] for one in report["sets"] for record in _frechets(one)):
        lines.append(f"A star: {report['fd']} is mostly bias at so few images for its dimensions.")
    return [line for line in lines if line]


def _frechets(one: Report) -> list[Report]:
    return [record for record in one["records"] if record["name"].startswith(("fd_", "fid"))]


def _of(report: Report) -> str:
    if report["held_out"]:
        return f"to {report['held_out']:,} held-out images"
    return f"to the {report['training']:,} training images, for none were held out: rewards copies"


def _single(report: Report) -> str:
    (one,) = report["sets"]
    kernel = one["kernel"]
    return (
        f"{one['name']}: {one['judged']:,} images, {report['kd']} x 1000"
        f" {1000 * kernel['value']:.3g} ± {1000 * kernel['standard_error']:.2g} {_of(report)}."
    )


def _best(report: Report) -> str:
    best = report["best"]
    error = next(one for one in report["sets"] if one["name"] == best["name"])["kernel"]
    text = (
        f"Best of {len(report['sets'])} snapshots: {best['name']}, {report['kd']} x 1000"
        f" {1000 * best['value']:.3g} ± {1000 * error['standard_error']:.2g} {_of(report)}."
    )
    names = [one["name"] for one in best["alike"]]
    if names:
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        text += f" It cannot be told apart from {', '.join(names[:_LISTED])}{more}: the interval"
        text += " (95 %) of the difference holds 0. More samples of each may tell."
    else:
        text += " Every other one is farther, beyond chance (95 %)."
    other = best["by_frechet"]
    if other not in (None, best["name"]):
        text += f" By {report['fd']} it would be {other}."
    return text


def _of_set(one: Report) -> list[str]:
    name, lines = one["name"], []
    if one["copying"] and one["copying"]["kind"] == "copying":
        lines.append(f"{name}: {one['copying']['text']}")
    c_t = next((r["value"] for r in one["records"] if r["name"].startswith("ct_")), None)
    if c_t is not None and c_t < _COPYING:
        lines.append(
            f"{name}: C_T is {c_t:.3g}: these images lie nearer to training images than unseen ones"
            " do, as mirrored, recompressed or slightly changed copies would. Below -3 the test's"
            " authors speak of data-copying; a GAN that was trained on mixtures lies nearer, too."
        )
    exact = one["exact_copies"]
    if exact["count"]:
        first = exact["first"][0]
        lines.append(
            f"{name}: {exact['count']:,} images ARE training images, pixel by pixel, as"
            f" {first['name']} is {first['training']}."
        )
    if one["held_out_images"]:
        lines.append(
            f"{name}: {one['held_out_images']:,} images are held-out ones, pixel by pixel."
        )
    if one["alike"]:
        lines.append(f"{name}: {one['alike']:,} images have the pixels of another one of the set.")
    if one["left_out"]["count"]:
        told_ = "; ".join(f"{row['name']} ({row['reason']})" for row in _first(one["left_out"]))
        lines.append(f"{name}: {one['left_out']['count']:,} files could not be read: {told_}.")
    if one["files"] > one["judged"] + one["left_out"]["count"]:
        lines.append(f"{name}: a seeded choice of {one['judged']:,} of {one['files']:,} images.")
    return lines


def _first(listed: Report) -> list[Report]:
    return list(listed["first"][:_LISTED])


def _yardstick(report: Report) -> str:
    for record in report["real"]:
        if record["name"] == report["kd"] and record["subset"] == "training images":
            return f"Real training images are at {1000 * record['value']:.3g}, for comparison."
    return ""
