"""Sample photos like those of cameras and drones: EXIF with time, exposure and position, and portrait ones stored sideways."""

import datetime
import io
from pathlib import Path

import numpy as np
import piexif
from PIL import Image

from .dataset import row, write_csv
from .scene import draw
from .shots import LARGE, TURN_LEFT, TURN_RIGHT, Shot, SHOTS

# Abutments of a bridge over a river in Japan, from bank to bank: latitude and longitude in degrees (WGS 84).
_ABUTMENTS = ((35.35852, 139.37214), (35.35874, 139.37348))
_HEIGHT = {"camera": 14.0, "drone": 23.0}  # metres above sea level
_POSITION_SPREAD = 0.00003  # degrees; about 3 m
_FIRST_PHOTO = datetime.datetime(2024, 10, 17, 9, 12, 40)  # local time
_UTC_OFFSET = datetime.timedelta(hours=9)
_BYTES_MAX = {True: 1_300_000, False: 90_000}  # maximum size of a large and of a small photo
_QUALITIES = range(82, 40, -4)  # JPEG qualities; the first one that fits is used
_SOFTWARE = "bridgeclip-models (synthetic picture)"

# Inverse of the turns that viewers apply to stored pixels.
_STORED_SIDEWAYS = {TURN_RIGHT: Image.Transpose.ROTATE_90, TURN_LEFT: Image.Transpose.ROTATE_270}


def sample_photos(out_dir: Path, seed: int) -> None:
    """Writes the photos of `SHOTS` into `out_dir`, with `photos.csv` for their true labels."""
    out_dir.mkdir(parents=True, exist_ok=True)
    time = _FIRST_PHOTO
    for index, shot in enumerate(SHOTS):
        rng = np.random.default_rng((seed, index))
        time += datetime.timedelta(seconds=int(rng.integers(40, 200)))
        picture = _as_stored(shot, rng)
        (out_dir / shot.file).write_bytes(_jpeg(picture, _exif(shot, picture.size, time, rng), _BYTES_MAX[shot.size == LARGE]))
    write_csv(out_dir / "photos.csv", (row(shot.file, shot.labels) for shot in SHOTS))


def _as_stored(shot: Shot, rng: np.random.Generator) -> Image.Image:
    turned = _STORED_SIDEWAYS.get(shot.orientation)
    if turned is None:
        return draw(shot.labels, rng, shot.size).image
    return draw(shot.labels, rng, shot.size[::-1]).image.transpose(turned)


def _jpeg(picture: Image.Image, exif: bytes, bytes_max: int) -> bytes:
    for quality in _QUALITIES:
        buffer = io.BytesIO()
        picture.save(buffer, "JPEG", quality=quality, exif=exif)
        if buffer.tell() <= bytes_max:
            return buffer.getvalue()
    raise ValueError(f"no quality down to {_QUALITIES[-1]} keeps this picture within {bytes_max} bytes")


def _exif(shot: Shot, size: tuple[int, int], time: datetime.datetime, rng: np.random.Generator) -> bytes:
    written = time.strftime("%Y:%m:%d %H:%M:%S")
    make, model = ("DJI", "FC6310") if shot.by_drone else ("SONY", "DSC-WX500")
    image = {
        piexif.ImageIFD.Make: make,
        piexif.ImageIFD.Model: model,
        piexif.ImageIFD.Orientation: shot.orientation,
        piexif.ImageIFD.Software: _SOFTWARE,
        piexif.ImageIFD.DateTime: written,
    }
    camera = {
        piexif.ExifIFD.ExifVersion: b"0231",
        piexif.ExifIFD.DateTimeOriginal: written,
        piexif.ExifIFD.DateTimeDigitized: written,
        piexif.ExifIFD.OffsetTime: "+09:00",
        piexif.ExifIFD.OffsetTimeOriginal: "+09:00",
        piexif.ExifIFD.ExposureTime: (1, int(rng.choice((60, 125, 250, 500)))),
        piexif.ExifIFD.FNumber: (28, 10) if shot.by_drone else (35, 10),
        piexif.ExifIFD.ISOSpeedRatings: int(rng.choice((100, 200, 400))),
        piexif.ExifIFD.FocalLength: (88, 10) if shot.by_drone else (41, 10),
        piexif.ExifIFD.PixelXDimension: size[0],
        piexif.ExifIFD.PixelYDimension: size[1],
    }
    return piexif.dump({"0th": image, "Exif": camera, "GPS": _gps(shot, time - _UTC_OFFSET, rng)})


def _gps(shot: Shot, utc: datetime.datetime, rng: np.random.Generator) -> dict[int, object]:
    """Returns a position along the bridge: north, east, and above sea level."""
    along = rng.random()
    latitude, longitude = (
        start + (end - start) * along + rng.normal(0, _POSITION_SPREAD) for start, end in zip(*_ABUTMENTS, strict=True)
    )
    height = _HEIGHT["drone" if shot.by_drone else "camera"] + rng.normal(0, 0.8)
    return {
        piexif.GPSIFD.GPSVersionID: (2, 3, 0, 0),
        piexif.GPSIFD.GPSLatitudeRef: "N",
        piexif.GPSIFD.GPSLatitude: _sexagesimal(latitude),
        piexif.GPSIFD.GPSLongitudeRef: "E",
        piexif.GPSIFD.GPSLongitude: _sexagesimal(longitude),
        piexif.GPSIFD.GPSAltitudeRef: 0,
        piexif.GPSIFD.GPSAltitude: (round(height * 100), 100),
        piexif.GPSIFD.GPSTimeStamp: ((utc.hour, 1), (utc.minute, 1), (utc.second, 1)),
        piexif.GPSIFD.GPSDateStamp: utc.strftime("%Y:%m:%d"),
        piexif.GPSIFD.GPSMapDatum: "WGS-84",
    }


def _sexagesimal(degrees: float) -> tuple[tuple[int, int], ...]:
    """Returns degrees, minutes and seconds; the seconds are in ten-thousandths (3 mm)."""
    minutes, ten_thousandths = divmod(round(degrees * 36_000_000), 600_000)
    return (minutes // 60, 1), (minutes % 60, 1), (ten_thousandths, 10_000)
