"""Conversion of labels to captions, by the published template.

    <Damage> is observed in the <location>. The soundness rating is <Ⅰ|Ⅱ|Ⅲ|Ⅳ>. The component-wise measure classification is <code>.

Several items are joined by " and "; several kinds of damage take "are". A sentence is left out if its value is unknown, the
first one if its damage or its location is. The device program reads findings back into labels (`reference build
--labels-from captions`); its vocabulary is `crates/domain/src/vocabulary.tsv`.
"""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

# Captions write the ratings with these glyphs, which CLIP's tokenizer distinguishes from the ASCII letters I, II, III
# and IV.
RATING_GLYPHS = {"I": "Ⅰ", "II": "Ⅱ", "III": "Ⅲ", "IV": "Ⅳ"}

_JOIN = " and "


@dataclass(frozen=True)
class Category:
    """One of the four properties that are predicted."""

    id: str
    column: str  # name of its column in CSV files
    multi: bool  # whether a photo can have several classes at once
    classes: tuple[str, ...]  # English names, in the published order


@dataclass(frozen=True)
class Labels:
    """The known labels of one photo; None and () stand for unknown."""

    soundness: str | None = None  # "I" .. "IV"
    measure: str | None = None  # "A" .. "S2"
    damage_type: tuple[str, ...] = field(default=())
    damage_location: tuple[str, ...] = field(default=())


@cache
def categories() -> dict[str, Category]:
    """Returns the categories by id, in the order of `labels.toml`."""
    text = resources.files(__package__).joinpath("labels.toml").read_text(encoding="utf-8")
    return {
        item["id"]: Category(item["id"], item["column"], item["kind"] == "multi", tuple(c["en"] for c in item["classes"]))
        for item in tomllib.loads(text)["category"]
    }


def caption(labels: Labels) -> str:
    """Returns the English caption of the labels; an empty one if nothing is known."""
    sentences = []
    if labels.damage_type and labels.damage_location:
        verb = "is" if len(labels.damage_type) == 1 else "are"
        damage, location = _JOIN.join(labels.damage_type), _JOIN.join(labels.damage_location)
        sentences.append(f"{damage[0].upper()}{damage[1:]} {verb} observed in the {location}.")
    if labels.soundness:
        sentences.append(f"The soundness rating is {RATING_GLYPHS[labels.soundness]}.")
    if labels.measure:
        sentences.append(f"The component-wise measure classification is {labels.measure}.")
    return " ".join(sentences)
