"""Contact sheets of rendered photos, with the outlines of their damages if wanted."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from ..errors import UserError

_OUTLINES = ((255, 60, 60), (60, 220, 255), (255, 220, 60), (120, 255, 90))
_GAP = 6  # px


def contact_sheet(lines: Path, columns: int, width: int, count: int, *, outlined: bool) -> Image.Image:
    """Returns the first photos of a bench in a grid; each is `width` px wide, upright."""
    with lines.open(encoding="utf-8") as file:
        photos = [json.loads(line) for line, _ in zip(file, range(count), strict=False)]
    if not photos:
        raise UserError(f"{lines}: no photos in it; render some first")
    tile = (width, width * 3 // 4)
    rows = -(-len(photos) // columns)
    sheet = Image.new("RGB", (columns * (tile[0] + _GAP) - _GAP, rows * (tile[1] + _GAP) - _GAP), (40, 40, 40))
    for index, photo in enumerate(photos):
        small = _tile(lines.parent, photo, tile, outlined=outlined)
        place = (index % columns * (tile[0] + _GAP), index // columns * (tile[1] + _GAP))
        sheet.paste(small, (place[0] + (tile[0] - small.width) // 2, place[1] + (tile[1] - small.height) // 2))
    return sheet


def _tile(folder: Path, photo: dict, tile: tuple[int, int], *, outlined: bool) -> Image.Image:
    with Image.open(folder / photo["image"]) as image:
        image.draft("RGB", tile)
        small = ImageOps.contain(ImageOps.exif_transpose(image).convert("RGB"), tile, Image.Resampling.LANCZOS)
    if not outlined:
        return small
    pixels = np.asarray(small).copy()
    for number, damage in enumerate(photo["damages"]):
        with Image.open(folder / damage["mask"]) as mask:
            inside = np.asarray(mask.resize(small.size, Image.Resampling.BOX)) > 25
        pixels[_border(inside)] = _OUTLINES[number % len(_OUTLINES)]
    small = Image.fromarray(pixels)
    names = ", ".join(damage["type"] for damage in photo["damages"]) or "-"
    ImageDraw.Draw(small).text(
        (4, 3),
        f"{photo['soundness']} {photo['measure']}  {names}",
        fill=(255, 255, 255),
        stroke_width=2,
        stroke_fill=(0, 0, 0),
    )
    return small


def _border(inside: np.ndarray) -> np.ndarray:
    padded = np.pad(inside, 1)
    around = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    return around & ~inside
