"""Compares the decoder with Pillow over seeded mutations of the segments of JPEGs.

What Pillow opens without an error must give the same pixels here, or be refused with a reason that is true. What Pillow
refuses may be refused or, where nothing but metadata is damaged, decoded to the pixels of the file before the damage.
"""

import argparse
import collections
import io
import os
import random
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

# Damaged coefficients lie beyond what the inverse DCT is defined for, where SIMD clips and C wraps. This program has
# the code in C, so libjpeg-turbo gets to use its own.
os.environ["JSIMD_FORCENONE"] = "1"

import numpy as np
from PIL import Image, ImageFile

ROOT = Path(__file__).resolve().parents[2]


def segments(data):
    """Returns the places of the segments up to the first scan, as pairs of start and end."""
    found, at = [], 2
    while True:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((at, at + 2 + length))
        if data[at + 1] == 0xDA:
            return found
        at += 2 + length


def jfif(data):
    """Returns the photo with a JFIF segment if it has none."""
    if b"JFIF\0" in data[:4096]:
        return data
    return data[:2] + b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0" + data[2:]


def stray(rng, data, start, end):
    junk = bytes(rng.randrange(255) for _ in range(rng.randrange(1, 40)))
    return data[:start] + junk + data[start:]


def zeros(rng, data, start, end):
    return data[:start] + bytes(rng.randrange(1, 5000)) + data[start:]


def fill(rng, data, start, end):
    return data[:start] + b"\xff" * rng.randrange(1, 2000) + data[start:]


def lose_marker(rng, data, start, end):
    return data[:start] + bytes([rng.randrange(255)]) + data[start + 1 :]


def drop_marker(rng, data, start, end):
    return data[:start] + data[start + 1 :]


def duplicate(rng, data, start, end):
    return data[:end] + data[start:end] + data[end:]


def remove(rng, data, start, end):
    return data[:start] + data[end:]


def change_length(rng, data, start, end):
    length = rng.choice([0, 1, 2, end - start - 2 + rng.randrange(-9, 9), rng.randrange(65_536)])
    return data[: start + 2] + max(0, length).to_bytes(2, "big") + data[start + 4 :]


def change_byte(rng, data, start, end):
    at = rng.randrange(start, end)
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def rename(rng, data, start, end):
    return data[: start + 1] + bytes([rng.randrange(256)]) + data[start + 2 :]


def jfif_version(rng, data, start, end):
    at = data.index(b"JFIF\0") + 5
    return data[:at] + bytes([rng.choice([0, 2, 3, 255])]) + data[at + 1 :]


def swap(rng, data, start, end):
    places = segments(data)
    (a, b), (c, d) = sorted(rng.sample(places, 2))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:]


def trailer(rng, data, start, end):
    return data + rng.choice([bytes(rng.randrange(9000)), rng.randbytes(rng.randrange(9000)), data])


def cut(rng, data, start, end):
    return data[: rng.randrange(start, len(data))]


def insert_segment(rng, data, start, end):
    body = rng.randbytes(rng.randrange(3000))
    marker = rng.choice([0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, 0x01, 0xD3])
    return data[:start] + bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body + data[start:]


MUTATIONS = [
    stray, zeros, fill, lose_marker, drop_marker, duplicate, remove, change_length, change_byte, rename, jfif_version,
    swap, trailer, cut, insert_segment,
]


def by_pillow(data):
    """Returns the pixels as Pillow decodes them, or the error."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format != "JPEG":
                return "no JPEG"
            image.load()
            return image.mode if image.mode not in ("RGB", "L") else np.asarray(image.convert("RGB"))
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--decoder", required=True, help="the example `pixels` of bridgeclip-photo")
    parser.add_argument("--count", type=int, default=2000, help="number of mutations")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="folder for files that differ")
    parser.add_argument("photos", nargs="*", type=Path)
    args = parser.parse_args()
    args.photos = args.photos or sorted((ROOT / "models/demo/photos").glob("*.JPG"))[:5]
    warnings.simplefilter("ignore")
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(run(args, Path(temporary)))


def run(args, folder):
    rng = random.Random(args.seed)
    whole = [jfif(path.read_bytes()) for path in args.photos]
    before = [by_pillow(data) for data in whole]
    cases = []
    for index in range(args.count):
        photo, mutation = rng.randrange(len(whole)), MUTATIONS[index % len(MUTATIONS)]
        data = whole[photo]
        data = mutation(rng, data, *rng.choice(segments(data)))
        path = folder / f"{index:05}-{mutation.__name__}.jpg"
        path.write_bytes(data)
        cases.append((path, photo, data))
    done = subprocess.run(
        [args.decoder], input="\n".join(str(path) for path, *_ in cases), capture_output=True, text=True, check=True
    )
    counts, reasons, wrong = collections.Counter(), collections.Counter(), []
    for (path, photo, data), line in zip(cases, done.stdout.splitlines(), strict=True):
        theirs, rgb = by_pillow(data), Path(f"{path}.rgb")
        if line.startswith("ok"):
            _, width, height = line.split()
            ours = np.fromfile(rgb, np.uint8).reshape(int(height), int(width), 3)
            rgb.unlink()
        if isinstance(theirs, str):
            if not line.startswith("ok"):
                counts["refused by both"] += 1
            elif np.array_equal(ours, before[photo]):
                counts["decoded here alone, to the pixels before the damage"] += 1
            else:
                counts["decoded here alone"] += 1
                reasons[f"Pillow: {theirs}"] += 1
        elif not line.startswith("ok"):
            counts["decoded by Pillow alone"] += 1
            reasons[f"{path.stem.split('-')[1]}: {line}"] += 1
        elif ours.shape == theirs.shape and np.array_equal(ours, theirs):
            counts["the same pixels"] += 1
        else:
            counts["other pixels"] += 1
            off = np.abs(ours.astype(int) - theirs).max() if ours.shape == theirs.shape else "another size"
            wrong.append(f"{path.name}: {off}")
            if args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                (args.keep / path.name).write_bytes(data)
    print(f"{args.count} mutations: {dict(counts)}; {len(done.stderr)} bytes on stderr")
    for reason, count in reasons.most_common(40):
        print(f"  {count:4} {reason}")
    for line in wrong[:40]:
        print("  differs:", line)
    return 1 if wrong or done.stderr else 0


if __name__ == "__main__":
    main()
