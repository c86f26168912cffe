"""Conversion from labels to captions and back."""

import itertools

import pytest

from bridgeclip_models.captions import Labels, caption, categories, parse_caption
from bridgeclip_models.errors import UserError


def test_published_template():
    labels = Labels("III", "C1", ("cracking", "corrosion"), ("main girder",))
    assert caption(labels) == (
        "Cracking and corrosion are observed in the main girder. The soundness rating is \u2162. "
        "The component-wise measure classification is C1."
    )


def test_every_class_survives_both_directions():
    classes = {category.id: category.classes for category in categories().values()}
    rows = itertools.zip_longest(*classes.values())
    for soundness, measure, damage, location in rows:
        labels = Labels(soundness, measure, (damage or "other",), (location or "other",))
        assert parse_caption(caption(labels)) == labels


@pytest.mark.parametrize(
    "labels", [Labels(), Labels("IV"), Labels(measure="E2"), Labels(None, None, ("scour", "other"), ("pier", "bottom slab"))]
)
def test_unknown_values_are_left_out(labels):
    assert parse_caption(caption(labels)) == labels


def test_number_of_classes():
    assert [len(category.classes) for category in categories().values()] == [4, 9, 15, 20]


@pytest.mark.parametrize("text", ["Rust is observed in the main girder.", "The soundness rating is V.", "A nice bridge."])
def test_foreign_words_are_named(text):
    with pytest.raises(UserError, match="caption"):
        parse_caption(text)
