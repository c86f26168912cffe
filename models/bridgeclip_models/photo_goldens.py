"""Pictures with their pixels by Pillow and open_clip, which tests compare with the device's decoding and resizing.

A case is a seeded picture, a small file beside the goldens, or a sample photo of the demo. Its values are 8-bit: either
all pixels, [height, width, 3], or the encoder's input, [3, size, size].
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
from PIL import Image, ImageOps

from .json_lines import write_list
from .seeded import Spread, seeded

_SIZE = 32  # size of most inputs, which keeps the file small
_SIDES = (
    (1, 1), (1, 2), (2, 1), (1, 7), (3, 5), (7, 3), (16, 16), (31, 33), (33, 31), (32, 32), (65, 1), (1, 65), (65, 64),
    (224, 224), (225, 223), (300, 200), (640, 480), (481, 641),
)  # fmt: skip
_UPRIGHT = 0x0112  # EXIF tag of the orientation


def write_photos(out: Path, photos: Path) -> Iterator[Path]:
    """Yields the files that it writes into `out`: small pictures, cases.json, and expected.npy with all their values."""
    out.mkdir(exist_ok=True)
    cases = [*_seeded_cases(), *_file_cases(out), *_orientation_cases(out), *_photo_cases(photos)]
    yield from (out / case["file"] for case, _ in cases if "file" in case)
    yield write_list(out / "cases.json", [case | {"values": values.size} for case, values in cases])
    np.save(out / "expected.npy", np.concatenate([values.ravel() for _, values in cases]))
    yield out / "expected.npy"


def picture(name: str, width: int, height: int) -> np.ndarray:
    """Returns noise, the hardest picture to resize: [height, width, 3] of uint8."""
    return np.minimum(seeded(name, (height, width, 3), Spread(128, 128)), 255).astype(np.uint8)


def encoder_input(image: Image.Image, size: int) -> np.ndarray:
    """Returns the encoder's input by open_clip's own transform: [3, size, size] of uint8."""
    transform = open_clip.image_transform(size, is_train=False, mean=(0, 0, 0), std=(1, 1, 1))
    return np.rint(transform(image.convert("RGB")).numpy() * 255).astype(np.uint8)


def _seeded_cases() -> Iterator[tuple[dict, np.ndarray]]:
    for width, height in _SIDES:
        yield _seeded_case(width, height, _SIZE)
    yield _seeded_case(97, 61, 96)


def _seeded_case(width: int, height: int, size: int) -> tuple[dict, np.ndarray]:
    name = f"picture/{width}x{height}"
    image = Image.fromarray(picture(name, width, height))
    return {"seeded": name, "pixels": [width, height], "size": size}, encoder_input(image, size)


def _file_cases(out: Path) -> Iterator[tuple[dict, np.ndarray]]:
    jpegs = {
        "1x1.jpg": ((1, 1), {}),
        "420.jpg": ((17, 9), {"subsampling": "4:2:0"}),
        "422.jpg": ((33, 65), {"subsampling": "4:2:2"}),
        "444.jpg": ((40, 30), {"subsampling": "4:4:4"}),
        "progressive.jpg": ((50, 37), {"progressive": True}),
        "restart.jpg": ((50, 37), {"restart_marker_blocks": 2}),
        "rgb.jpg": ((23, 19), {"keep_rgb": True}),
    }
    for file, ((width, height), options) in jpegs.items():
        _smooth(width, height).save(out / file, quality=90, **options)
    _smooth(23, 19).convert("L").save(out / "grey.jpg", quality=90)
    _smooth(21, 17).save(out / "lossy.webp", quality=90)
    _smooth(21, 17).save(out / "lzw.tif", compression="tiff_lzw")
    _smooth(21, 17).quantize(16).save(out / "palette.png")
    _with_alpha(21, 17).save(out / "alpha.png")
    _with_alpha(21, 17).save(out / "alpha.webp", lossless=True, exact=True)
    for file in (*jpegs, "grey.jpg", "lossy.webp", "lzw.tif", "palette.png", "alpha.png", "alpha.webp"):
        with Image.open(out / file) as image:
            yield {"file": file}, np.asarray(image.convert("RGB"))


def _smooth(width: int, height: int) -> Image.Image:
    """Returns seeded noise over a gradient: colours like those of a photo."""
    y, x = np.mgrid[0:height, 0:width]
    gradient = np.stack([x * 200 // width, y * 200 // height, (x + y) * 100 // (width + height)], axis=-1)
    return Image.fromarray((gradient + picture(f"smooth/{width}x{height}", width, height) // 5).astype(np.uint8))


def _with_alpha(width: int, height: int) -> Image.Image:
    image = _smooth(width, height)
    image.putalpha(Image.fromarray(picture("alpha", width, height)[:, :, 0]))
    return image


def _orientation_cases(out: Path) -> Iterator[tuple[dict, np.ndarray]]:
    for orientation in range(1, 9):
        file = f"orientation-{orientation}.jpg"
        exif = Image.Exif()
        exif[_UPRIGHT] = orientation
        _smooth(25, 16).save(out / file, quality=85, exif=exif)
        with Image.open(out / file) as image:
            yield {"file": file, "size": _SIZE, "upright": True}, encoder_input(ImageOps.exif_transpose(image), _SIZE)


def _photo_cases(photos: Path) -> Iterator[tuple[dict, np.ndarray]]:
    for path in sorted(path for path in photos.iterdir() if path.suffix.lower() == ".jpg"):
        with Image.open(path) as image:
            yield {"photo": path.name, "size": _SIZE}, encoder_input(image, _SIZE)
