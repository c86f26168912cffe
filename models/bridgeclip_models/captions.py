"""Conversion between labels and captions, by the published template.

    <Damage> is observed in the <location>. The soundness rating is <Ⅰ|Ⅱ|Ⅲ|Ⅳ>. The component-wise measure classification is <code>.

Several items are joined by " and "; several kinds of damage take "are". A sentence is left out if its value is unknown, the
first one if its damage or its location is.
"""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

from .errors import UserError

# Captions write the ratings with these glyphs, which CLIP's tokenizer distinguishes from the ASCII letters I, II, III
# and IV.
RATING_GLYPHS = {"I": "Ⅰ", "II": "Ⅱ", "III": "Ⅲ", "IV": "Ⅳ"}

_JOIN = " and "
_DAMAGE = re.compile(r"(?P<damage>.+?) (?:is|are) observed in the (?P<location>.+)", re.IGNORECASE)
_SOUNDNESS = re.compile(r"The soundness rating is (?P<value>\S+)", re.IGNORECASE)
_MEASURE = re.compile(r"The component-wise measure classification is (?P<value>\S+)", re.IGNORECASE)


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


def parse_caption(text: str) -> Labels:
    """Returns the labels that a caption names, regardless of case. Fails on a sentence or a class that is not known."""
    found: dict[str, object] = {}
    for sentence in filter(None, (part.strip() for part in re.split(r"\.(?:\s+|$)", text))):
        found |= _parse_sentence(sentence)
    return Labels(**found)


def _parse_sentence(sentence: str) -> dict[str, object]:
    if match := _SOUNDNESS.fullmatch(sentence):
        return {"soundness": _rating(match["value"])}
    if match := _MEASURE.fullmatch(sentence):
        return {"measure": _class("measure", match["value"])}
    if match := _DAMAGE.fullmatch(sentence):
        return {
            "damage_type": _classes("damage_type", match["damage"]),
            "damage_location": _classes("damage_location", match["location"]),
        }
    raise UserError(f"caption: {sentence!r} is no sentence of the template")


def _rating(value: str) -> str:
    by_glyph = {glyph: rating for rating, glyph in RATING_GLYPHS.items()}
    return by_glyph.get(value.upper()) or _class("soundness", value)


def _classes(category: str, joined: str) -> tuple[str, ...]:
    return tuple(_class(category, name) for name in joined.split(_JOIN))


def _class(category: str, name: str) -> str:
    known = {known.lower(): known for known in categories()[category].classes}
    if name.lower() not in known:
        raise UserError(f"caption: {name!r} is no class of {category}; its classes are {', '.join(known.values())}")
    return known[name.lower()]
