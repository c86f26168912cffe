"""The card as Markdown, in the layout of the published one, and as JSON."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

from ..captions import categories
from ..subsets import ALL, size_name
from .measure import Measured
from .published import Published
from .resampling import LEVEL, RESAMPLES, Figure

_HEADS = {"soundness": "Soundness", "measure": "Measure", "damage_type": "Damage type", "damage_location": "Damage loc."}
_METHODS = {
    "knn": "CLIP fine-tuned + k-NN", "linear": "CLIP fine-tuned + linear classifier",
    "base_knn": "Base CLIP + k-NN", "base_linear": "Base CLIP + linear classifier",
}  # fmt: skip
_ARROWS = {"image_to_text": "Image→Text", "text_to_image": "Text→Image"}
_UNKNOWN = "–"


def card_json(measured: Measured, setup: Mapping[str, object], published: Published) -> dict:
    """Returns everything that was measured, with the distance from the published figures."""
    return {
        "setup": dict(setup),
        "published": {"name": published.name, "source": published.source},
        "figures": {key: _json(figure, published.figures.get(key)) for key, figure in measured.figures.items()},
        "details": measured.details,
        "notes": measured.notes,
        "published_but_not_measured": sorted(set(published.figures) - set(measured.figures)),
    }


def card_markdown(measured: Measured, setup: Mapping[str, object], published: Published) -> str:
    """Returns the card. Its last table compares each figure with the published one."""
    parts = [
        _head(setup, published), _classification(measured, published), _backbones(measured), _map(measured), _retrieval(measured),
        _attributes(measured), _scaling(measured), _reference(measured), _captions(setup), _comparison(measured, published), _notes(measured),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _json(figure: Figure, published: float | None) -> dict[str, object]:
    content = {key: None if value is None or math.isnan(value) else value for key, value in asdict(figure).items()}
    if content["worst"] is None:
        content = {key: value for key, value in content.items() if key not in ("worst", "best")}
    if published is not None:
        content |= {"published": published, "difference": figure.value - published, "published_is_within": _within(figure, published)}
    return content


def _within(figure: Figure, published: float) -> bool:
    digits = 2 if published > 1 else 4  # the published figures are rounded
    return round(figure.low, digits) <= published <= round(figure.high, digits)


def _head(setup: Mapping[str, object], published: Published) -> str:
    base = setup.get("base")
    models = f"Checkpoint `{setup['checkpoint']['file']}` ({setup['checkpoint']['architecture']})"
    models += f", base `{base['file']}`." if base else ". No base model was given, so its columns are empty."
    return (
        f"# BridgeCLIP: measured figures\n\n{models} Validation set: {setup['validation_rows']} rows, of which "
        f"{setup['validation_rows_valid']} have all four categories; k-NN database: {setup['reference_rows']} rows. The published "
        f"figures beside them are those of: {published.name} ({published.source})."
    )


def _classification(measured: Measured, published: Published) -> str:
    names = [*categories(), "mean"]
    rows = {f"**{title}**": _values(measured, f"classification.{method}", names) for method, title in _METHODS.items()}
    rows = {title: values for title, values in rows.items() if values}
    rows |= {f"{title} (published)": list(values) for title, values in published.rows.items()}
    for method in ("knn", "linear"):
        values = [published.figures.get(f"classification.{method}.{name}") for name in names]
        if None not in values:
            rows[f"{_METHODS[method]} (published)"] = values
    table = _table(["Model", *_HEADS.values(), "**Mean**"], [[title, *cells] for title, cells in zip(rows, _ranked(rows.values()), strict=True)])
    return f"## Classification (macro-F1)\n\n{table}\n\nBold is the highest of a column, underlined the second."


def _backbones(measured: Measured) -> str:
    values = {title: measured.figures.get(f"classification.{method}.mean") for method, title in (("base_linear", "Base CLIP"), ("linear", "**CLIP fine-tuned**"))}
    if None in values.values():
        return ""
    base, tuned = (figure.value for figure in values.values())
    gain = f" ({(tuned / base - 1) * 100:+.1f} % relative)" if base else ""
    rows = [["Base CLIP", f"{base:.4f}"], ["**CLIP fine-tuned**", f"**{tuned:.4f}{gain}**"]]
    return "## Feature spaces (the same linear classifier)\n\n" + _table(["Backbone", "Mean macro-F1"], rows)


def _map(measured: Measured) -> str:
    rows = [
        [_METHODS[method], *(f"{details[name]['mAP']:.4f}" for name in categories()), *(f"{details[name]['exact_match']:.4f}" for name in categories())]
        for method, details in measured.details.items()
    ]
    heads = [f"{head} {what}" for what in ("mAP", "exact") for head in _HEADS.values()]
    return "## Classification (mAP of the answers, exact match)\n\n" + _table(["Model", *heads], rows)


def _retrieval(measured: Measured) -> str:
    rows = []
    for direction, arrow in _ARROWS.items():
        for k in (1, 5, 10):
            figures = [measured.figures.get(f"retrieval.{model}.{direction}.R@{k}") for model in ("base", "tuned")]
            rows.append([f"{arrow} R@{k}", _cell(figures[0]), f"**{_cell(figures[1])}**", _bounds(figures[1])])
    return (
        "## Retrieval (Recall@k)\n\n" + _table(["Direction", "Base CLIP", "**CLIP fine-tuned**", "fine-tuned, worst to best order of ties"], rows) +
        "\n\nEqual captions cannot be told apart: the figure is the mean over all their orders. A program that takes one order, as the published "
        "one does, gets any value between the bounds."
    )  # fmt: skip


def _attributes(measured: Measured) -> str:
    rows = []
    for name, head in _HEADS.items():
        figures = [measured.figures.get(f"attributes.{model}.text_to_image.{name}.AttrMatch@1") for model in ("base", "tuned", "gain")]
        gain = figures[2]
        rows.append([head, _cell(figures[0]), f"**{_cell(figures[1])}**", f"×{gain.value:.2f}" if gain and math.isfinite(gain.value) else _UNKNOWN])
    return "## Attribute-based retrieval (Text → Image, AttrMatch@1)\n\n" + _table(["Category", "Base CLIP", "**CLIP fine-tuned**", "Relative gain"], rows)


def _scaling(measured: Measured) -> str:
    sizes = _sizes(measured, "scaling")
    if not sizes:
        return "## Data scaling\n\nNo runs on subsets were given (--runs)."
    heads = [f"{arrow} R@{k}" for arrow in _ARROWS.values() for k in (1, 10)]
    keys = [f"{direction}.R@{k}" for direction in _ARROWS for k in (1, 10)] + ["knn.mean"]
    rows = [[_size(size), *(_cell(measured.figures.get(f"scaling.{size}.{key}")) for key in keys)] for size in sizes]
    return "## Data scaling (a model trained on each subset)\n\n" + _table(["Training pairs", *heads, "k-NN mean macro-F1"], rows)


def _reference(measured: Measured) -> str:
    sizes = _sizes(measured, "reference")
    if not sizes:
        return ""
    rows = [[_size(size), *(_cell(measured.figures.get(f"reference.{size}.{name}")) for name in (*categories(), "mean"))] for size in sizes]
    return "## k-NN with fewer reference photos (the same model)\n\n" + _table(["Training rows", *_HEADS.values(), "**Mean**"], rows)


def _captions(setup: Mapping[str, object]) -> str:
    rows = [[name.replace("_", " "), str(value)] for name, value in setup["captions"].items()]
    return "## Captions\n\n" + _table(["Validation captions", "Count"], rows)


def _comparison(measured: Measured, published: Published) -> str:
    rows = []
    for key, expected in published.figures.items():
        if figure := measured.figures.get(key):
            rows.append([
                f"`{key}`", _cell(figure), f"{figure.low:.4f} to {figure.high:.4f}", f"{expected:.4f}", f"{figure.value - expected:+.4f}",
                "yes" if _within(figure, expected) else "**no**",
            ])  # fmt: skip
    if not rows:
        return ""
    heads = ["Figure", "Measured", f"{LEVEL:.0%} interval", "Published", "Difference", "Published within the interval"]
    return (
        "## Against the published figures\n\n" + _table(heads, rows) +
        f"\n\nThe intervals come from {RESAMPLES} resamples of the validation rows. They hold what another sample of the same kind of "
        "photos would change, not what another training would."
    )  # fmt: skip


def _notes(measured: Measured) -> str:
    return "## Notes\n\n" + "\n".join(f"- {note}" for note in measured.notes) if measured.notes else ""


def _values(measured: Measured, prefix: str, names: Sequence[str]) -> list[float]:
    figures = [measured.figures.get(f"{prefix}.{name}") for name in names]
    return [] if None in figures else [figure.value for figure in figures]


def _ranked(rows: Sequence[Sequence[float]]) -> list[list[str]]:
    """Returns the cells of a table, the highest of each column bold and the second underlined."""
    rows = list(rows)
    marks: list[Callable[[str], str]] = [lambda text: f"**{text}**", lambda text: f"<u>{text}</u>"]
    best = [sorted({round(value, 4) for value in column}, reverse=True)[:2] for column in zip(*rows, strict=True)]
    found = []
    for row in rows:
        places = [top.index(round(value, 4)) if round(value, 4) in top else None for value, top in zip(row, best, strict=True)]
        found.append([f"{value:.4f}" if place is None else marks[place](f"{value:.4f}") for value, place in zip(row, places, strict=True)])
    return found


def _sizes(measured: Measured, kind: str) -> list[int]:
    sizes = {int(key.split(".")[1]) for key in measured.figures if key.startswith(f"{kind}.")}
    return sorted(sizes, key=lambda size: size or math.inf)


def _size(size: int) -> str:
    return size_name(size) if size else ALL


def _cell(figure: Figure | None) -> str:
    return f"{figure.value:.4f}" if figure and math.isfinite(figure.value) else _UNKNOWN


def _bounds(figure: Figure | None) -> str:
    return f"{figure.worst:.4f} to {figure.best:.4f}" if figure and figure.worst is not None else _UNKNOWN


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
