"""The caption template of the training data, in both directions: labels -> caption and caption -> labels.

`<Damage> is observed in the <location>. The soundness rating is <rating>. The component-wise measure classification
is <code>.` Several items are joined by " and ", with "are" in place of "is"; a sentence whose value is unknown is left
out. Ratings are the glyphs U+2160..U+2163: they are other tokens than the ASCII letters of the CSV labels.
"""

import re
from dataclasses import dataclass

RATING_GLYPHS = {"I": "\u2160", "II": "\u2161", "III": "\u2162", "IV": "\u2163"}

_RATINGS = {glyph: rating for rating, glyph in RATING_GLYPHS.items()}
_JOINT = " and "
_OBSERVED = re.compile(r"(?P<damages>[^.]+?) (?:is|are) observed(?: in the (?P<locations>[^.]+))?\.")
_FOUND = re.compile(r"Damage is observed in the (?P<locations>[^.]+)\.")
_SOUNDNESS = re.compile(r"The soundness rating is (?P<rating>[\u2160-\u2163])\.")
_MEASURE = re.compile(r"The component-wise measure classification is (?P<code>\w+)\.")


@dataclass(frozen=True)
class Labels:
    """What an inspection record says about one photo, in the English labels; None or empty: unknown."""

    soundness: str | None = None
    measure: str | None = None
    damage_type: tuple[str, ...] = ()
    damage_location: tuple[str, ...] = ()


def caption(labels: Labels) -> str:
    """The sentences for what is known."""
    sentences = [_observation(labels.damage_type, labels.damage_location)]
    if labels.soundness:
        sentences.append(f"The soundness rating is {RATING_GLYPHS[labels.soundness]}.")
    if labels.measure:
        sentences.append(f"The component-wise measure classification is {labels.measure}.")
    return " ".join(sentence for sentence in sentences if sentence)


def parse(text: str) -> Labels:
    """The labels that a caption of this template names. Sentences of another form are ignored."""
    damages, locations = _observed_items(text)
    soundness, measure = _SOUNDNESS.search(text), _MEASURE.search(text)
    return Labels(
        soundness=_RATINGS[soundness["rating"]] if soundness else None,
        measure=measure["code"] if measure else None,
        damage_type=damages,
        damage_location=locations,
    )


def _observation(damages: tuple[str, ...], locations: tuple[str, ...]) -> str:
    """The first sentence; with the damage unknown it says "Damage", with both unknown it is empty."""
    if not damages and not locations:
        return ""
    subject = _JOINT.join(damages) or "damage"
    verb = "are" if len(damages) > 1 else "is"
    place = f" in the {_JOINT.join(locations)}" if locations else ""
    return f"{subject[0].upper()}{subject[1:]} {verb} observed{place}."


def _observed_items(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if found := _FOUND.search(text):
        return (), tuple(found["locations"].split(_JOINT))
    observed = _OBSERVED.search(text)
    if not observed:
        return (), ()
    first, *rest = observed["damages"].strip().split(_JOINT)
    locations = observed["locations"]
    return (first[0].lower() + first[1:], *rest), tuple(locations.split(_JOINT)) if locations else ()
