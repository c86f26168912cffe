"""Conversion from labels to captions. The device program's tests read the captions back."""

import pytest

from bridgeclip_models.captions import Labels, caption, categories


def test_published_template():
    labels = Labels("III", "C1", ("cracking", "corrosion"), ("main girder",))
    assert caption(labels) == (
        "Cracking and corrosion are observed in the main girder. The soundness rating is \u2162. "
        "The component-wise measure classification is C1."
    )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (Labels(), ""),
        (Labels("IV"), "The soundness rating is \u2163."),
        (Labels(measure="E2"), "The component-wise measure classification is E2."),
        (Labels(damage_type=("scour",)), ""),
        (Labels(None, None, ("scour", "other"), ("pier",)), "Scour and other are observed in the pier."),
    ],
)
def test_unknown_values_are_left_out(labels, expected):
    assert caption(labels) == expected


def test_number_of_classes():
    assert [len(category.classes) for category in categories().values()] == [4, 9, 15, 20]
