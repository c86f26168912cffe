"""Metadata as cameras write them: maker, lens, exposure, time, and for some photos distance and position."""

import datetime
from dataclasses import dataclass

import numpy as np
import piexif

from .scene import Photo

_SOFTWARE = "bridgeclip-models (synthetic picture)"
_FIRST_DAY = datetime.datetime(2024, 4, 1, 9, 0)  # local time, UTC+9
_UTC_OFFSET = datetime.timedelta(hours=9)


@dataclass(frozen=True)
class Body:
    """A camera and what it writes."""

    make: str
    model: str
    sensor_mm: float  # width
    f_number: float
    distance: bool  # writes the distance to the subject
    position: float  # share of its photos with a position


_BODIES = (
    Body("OM Digital Solutions", "TG-6", 6.17, 2.8, False, 0.5),
    Body("RICOH", "WG-70", 6.17, 3.5, False, 0.0),
    Body("SONY", "DSC-WX500", 6.17, 3.5, False, 0.0),
    Body("Canon", "EOS Kiss X10", 22.3, 5.6, True, 0.0),
    Body("NIKON CORPORATION", "NIKON D5600", 23.5, 5.6, True, 0.0),
    Body("DJI", "FC6310", 13.2, 4.0, False, 0.9),
    Body("Google", "Pixel 6a", 5.64, 1.7, True, 0.6),
)


def exif(photo: Photo, stored: tuple[int, int], orientation: int, rng: np.random.Generator) -> bytes:
    """Returns the block for a file that stores `stored` (width, height) px."""
    body = _BODIES[int(rng.integers(len(_BODIES)))]
    time = _FIRST_DAY + datetime.timedelta(days=int(rng.integers(240)), seconds=int(rng.integers(7 * 3600)))
    written = time.strftime("%Y:%m:%d %H:%M:%S")
    long_side = max(stored)
    image = {
        piexif.ImageIFD.Make: body.make,
        piexif.ImageIFD.Model: body.model,
        piexif.ImageIFD.Orientation: orientation,
        piexif.ImageIFD.Software: _SOFTWARE,
        piexif.ImageIFD.DateTime: written,
    }
    camera = {
        piexif.ExifIFD.ExifVersion: b"0231",
        piexif.ExifIFD.DateTimeOriginal: written,
        piexif.ExifIFD.DateTimeDigitized: written,
        piexif.ExifIFD.ExposureTime: (1, int(rng.choice((30, 60, 125, 250, 500)))),
        piexif.ExifIFD.FNumber: (round(body.f_number * 10), 10),
        piexif.ExifIFD.ISOSpeedRatings: photo.exposure.iso,
        piexif.ExifIFD.FocalLength: (round(photo.focal / long_side * body.sensor_mm * 100), 100),
        piexif.ExifIFD.FocalLengthIn35mmFilm: round(photo.focal / long_side * 36),
        piexif.ExifIFD.PixelXDimension: stored[0],
        piexif.ExifIFD.PixelYDimension: stored[1],
    }
    if body.distance:
        camera[piexif.ExifIFD.SubjectDistance] = (round(photo.distance), 1000)
    gps = _position(rng, time - _UTC_OFFSET) if rng.random() < body.position else {}
    return piexif.dump({"0th": image, "Exif": camera, "GPS": gps})


def _position(rng: np.random.Generator, utc: datetime.datetime) -> dict[int, object]:
    """Returns a position near a river in Japan."""
    north, east = 35.3585 + rng.normal(0, 0.002), 139.3728 + rng.normal(0, 0.002)
    return {
        piexif.GPSIFD.GPSVersionID: (2, 3, 0, 0),
        piexif.GPSIFD.GPSLatitudeRef: "N",
        piexif.GPSIFD.GPSLatitude: _sexagesimal(north),
        piexif.GPSIFD.GPSLongitudeRef: "E",
        piexif.GPSIFD.GPSLongitude: _sexagesimal(east),
        piexif.GPSIFD.GPSAltitudeRef: 0,
        piexif.GPSIFD.GPSAltitude: (int(rng.integers(800, 2600)), 100),
        piexif.GPSIFD.GPSTimeStamp: ((utc.hour, 1), (utc.minute, 1), (utc.second, 1)),
        piexif.GPSIFD.GPSDateStamp: utc.strftime("%Y:%m:%d"),
        piexif.GPSIFD.GPSMapDatum: "WGS-84",
    }


def _sexagesimal(degrees: float) -> tuple[tuple[int, int], ...]:
    minutes, ten_thousandths = divmod(round(degrees * 36_000_000), 600_000)
    return (minutes // 60, 1), (minutes % 60, 1), (ten_thousandths, 10_000)
