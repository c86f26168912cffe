"""The pictures that are compared with the device's decoding and resizing."""

import json

import numpy as np

from bridgeclip_models.demo_model import DEFAULT_DEMO, PHOTOS
from bridgeclip_models.photo_goldens import picture, write_photos


def test_the_files_are_the_same_each_time_and_belong_together(tmp_path):
    first, second = (list(write_photos(tmp_path / name, DEFAULT_DEMO / PHOTOS)) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    cases = json.loads((tmp_path / "a" / "cases.json").read_text())
    assert sum(case["values"] for case in cases) == len(np.load(tmp_path / "a" / "expected.npy"))
    assert sum("photo" in case for case in cases) == 24
    assert sum(path.stat().st_size for path in first) < 300_000


def test_pictures_are_noise_of_all_levels():
    values = picture("picture/64x64", 64, 64)
    assert values.dtype == np.uint8 and len(np.unique(values)) == 256
