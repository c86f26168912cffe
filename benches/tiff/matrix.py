"""Holds the decoder of TIFF to libtiff's RGBA interface and to the samples that were written, over a matrix of files.

A file may be decoded to the right pixels or refused with a remedy; anything else is an error. libtiff returns colours
that are multiplied by alpha, and takes a fourth sample without a name for such an alpha; this program returns colours
without it. The comparison takes that into account.
"""

import argparse
import collections
import ctypes
import ctypes.util
import itertools
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile

WIDTH, HEIGHT = 67, 53
REMEDY = ("save it as an uncompressed or LZW RGB TIFF, or as a JPEG", "export the photo as an RGB JPEG")
LOSSY = {"jpeg", "webp"}
ALPHA = {"none": 0, "unspecified": 1, "assocalpha": 1, "unassalpha": 1}


class Libtiff:
    """libtiff's `TIFFReadRGBAImageOriented`."""

    def __init__(self):
        self.lib = ctypes.CDLL(ctypes.util.find_library("tiff") or "libtiff.so.6")
        self.lib.TIFFOpen.restype = ctypes.c_void_p
        quiet = ctypes.c_void_p()
        self.lib.TIFFSetErrorHandler(quiet)
        self.lib.TIFFSetWarningHandler(quiet)

    def rgba(self, path):
        """Returns the picture as rows of RGBA, or None if libtiff cannot read it."""
        tif = self.lib.TIFFOpen(str(path).encode(), b"r")
        if not tif:
            return None
        tif = ctypes.c_void_p(tif)
        raster = np.zeros((HEIGHT, WIDTH), np.uint32)
        at = raster.ctypes.data_as(ctypes.c_void_p)
        top_left, stop = 1, 1
        done = self.lib.TIFFReadRGBAImageOriented(tif, WIDTH, HEIGHT, at, top_left, stop)
        self.lib.TIFFClose(tif)
        return raster.view(np.uint8).reshape(HEIGHT, WIDTH, 4) if done else None


def picture(channels, bits, alpha_at=None):
    """Returns a textured picture, with samples of `bits` bits, or floats for "32f"."""
    random = np.random.default_rng(channels * 100 + (32 if bits == "32f" else bits))
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    planes = [((x * (3 + 2 * c) + y * (5 - c)) % 256) / 255 for c in range(channels)]
    values = np.clip(np.stack(planes, -1) + random.normal(0, 0.03, (HEIGHT, WIDTH, channels)), 0, 1)
    if alpha_at is not None:
        values[..., alpha_at] = np.where(x < WIDTH // 2, 1, 0.25 + 0.75 * y / HEIGHT)
    if bits == "32f":
        return values.astype(np.float32)
    return np.round(values * ((1 << bits) - 1)).astype(np.uint16 if bits == 16 else np.uint8)


def to_bytes(samples, bits):
    """Returns samples as 8 bits."""
    if bits == "32f":
        return np.round(samples * 255).astype(np.uint8)
    if bits == 16:
        return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return (samples.astype(np.uint32) * 255 // ((1 << bits) - 1)).astype(np.uint8)


def kinds():
    """Yields photometric interpretation, bits, extra samples, and number of colour samples."""
    for photometric, bits in itertools.product(["minisblack", "miniswhite"], [1, 4, 8, 16, "32f"]):
        for extra in ALPHA if bits in (8, 16) else ["none"]:
            yield photometric, bits, extra, 1
    for bits, extra in itertools.product([8, 16, "32f"], ALPHA):
        yield "rgb", bits, extra, 3
    for bits in [4, 8]:
        yield "palette", bits, "none", 1
    for photometric, channels in [("ycbcr", 3), ("separated", 4), ("cielab", 3)]:
        yield photometric, 8, "none", channels


def layouts():
    """Yields rows per strip or a tile, planar configuration and byte order."""
    yield from itertools.product([1, 10, HEIGHT, (16, 16), (32, 48)], ["contig", "separate"], "<>")


COMPRESSIONS = [
    (None, 1), ("lzw", 1), ("lzw", 2), ("lzw", 3), ("adobe_deflate", 1), ("adobe_deflate", 2), ("adobe_deflate", 3),
    ("deflate", 2), ("packbits", 1), ("jpeg", 1), ("ccitt_t6", 1), ("zstd", 1), ("zstd", 2), ("lzma", 1), ("webp", 1),
]


def write(path, kind, layout, compression, predictor):
    """Writes a file. Returns its samples, and the palette, or raises an error for what the writer does not know."""
    photometric, bits, extra, colours = kind
    part, planar, order = layout
    channels = colours + ALPHA[extra]
    samples = picture(channels, bits, colours if extra.endswith("alpha") else None)
    options = {"photometric": photometric, "compression": compression, "byteorder": order, "metadata": None}
    colormap = None
    if photometric == "palette":
        colormap = np.random.default_rng(bits).integers(0, 65_536, (3, 1 << bits), np.uint16)
        options["colormap"] = colormap
    if bits in (1, 4):
        options["bitspersample"] = bits
        if bits == 1:
            samples = samples.astype(bool)
    if extra == "assocalpha":
        alpha = samples[..., colours:].astype(np.float64) / (1 if bits == "32f" else (1 << bits) - 1)
        samples[..., :colours] = (
            samples[..., :colours] * alpha if bits == "32f" else np.round(samples[..., :colours] * alpha)
        )
    if extra != "none":
        options["extrasamples"] = [extra]
    if predictor > 1:
        options["predictor"] = predictor
    if isinstance(part, tuple):
        options["tile"] = part
    else:
        options["rowsperstrip"] = part
    data = samples
    if channels == 1:
        data = samples[..., 0]
    else:
        options["planarconfig"] = planar
        if planar == "separate":
            data = np.moveaxis(samples, -1, 0)
    if compression == "jpeg":
        options["compressionargs"] = {"level": 90}
    if compression == "webp":
        options["compressionargs"] = {"level": 90, "lossless": False}
    tifffile.imwrite(path, np.ascontiguousarray(data), **options)
    return samples, colormap


def write_ycbcr(path, across, down, order, rows):
    """Writes luma and chroma, of which several pixels share the chroma, without compression. Returns the colours."""
    samples = picture(3, 8)
    strips = []
    for top in range(0, HEIGHT, rows):
        strip = bytearray()
        for y in range(top, min(HEIGHT, top + rows), down):
            for x in range(0, WIDTH, across):
                ys = np.minimum(np.arange(y, y + down), HEIGHT - 1)
                xs = np.minimum(np.arange(x, x + across), WIDTH - 1)
                strip += samples[ys][:, xs, 0].tobytes() + samples[y, x, 1:].tobytes()
        strips.append(bytes(strip))
    offsets = list(itertools.accumulate([8] + [len(strip) + len(strip) % 2 for strip in strips]))
    fields = [
        (256, "I", [WIDTH]), (257, "I", [HEIGHT]), (258, "H", [8, 8, 8]), (259, "H", [1]), (262, "H", [6]),
        (273, "I", offsets[:-1]), (277, "H", [3]), (278, "I", [rows]), (279, "I", [len(strip) for strip in strips]),
        (530, "H", [across, down]),
    ]
    data, at = b"".join(strip + bytes(len(strip) % 2) for strip in strips), offsets[-1]
    directory = struct.pack(order + "H", len(fields))
    for tag, code, values in fields:
        packed = struct.pack(f"{order}{len(values)}{code}", *values)
        if len(packed) > 4:
            packed, data, at = struct.pack(order + "I", at), data + packed, at + len(packed)
        directory += struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[code], len(values)) + packed.ljust(4, b"\0")
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    path.write_bytes(header + data + directory + bytes(4))
    ys, xs = np.arange(HEIGHT) // down * down, np.arange(WIDTH) // across * across
    luma, chroma = samples[..., 0].astype(float), samples[ys][:, xs, 1:].astype(float) - 128
    red, blue = luma + 1.402 * chroma[..., 1], luma + 1.772 * chroma[..., 0]
    green = (luma - 0.299 * red - 0.114 * blue) / 0.587
    return np.clip(np.round(np.stack([red, green, blue], -1)), 0, 255)


def divided(samples, bits, colours):
    """Returns colours divided by the alpha by which they are multiplied."""
    if bits == "32f":
        return np.clip(samples[..., :colours] / samples[..., colours : colours + 1], 0, 1)
    white, alpha = (1 << bits) - 1, samples[..., colours : colours + 1].astype(np.int64)
    whole = (samples[..., :colours].astype(np.int64) * white + alpha // 2) // np.maximum(alpha, 1)
    return np.minimum(whole, white)


def truth(kind, samples, colormap):
    """Returns the colours that were meant, or None where the samples do not give them exactly."""
    photometric, bits, extra, colours = kind
    if photometric == "palette":
        return (colormap >> 8).astype(np.uint8).T[samples[..., 0]]
    if photometric not in ("minisblack", "miniswhite", "rgb"):
        return None
    rgb = to_bytes(divided(samples, bits, colours) if extra == "assocalpha" else samples[..., :colours], bits)
    rgb = 255 - rgb if photometric == "miniswhite" else rgb
    return np.repeat(rgb, 3, -1) if colours == 1 else rgb


def off(found, right):
    return int(np.abs(found.astype(int) - right.astype(int)).max())


def judge(kind, layout, compression, found, right, libtiff):
    """Returns how far the pixels are from what was written and from libtiff's, and what is allowed, in levels."""
    photometric, bits, extra, colours = kind
    differences = []
    if colours == 1 and (extra != "none" or (isinstance(layout[0], tuple) and bits == 16)):
        # libtiff 4.5 counts columns wrongly in tiles of such grey (`putagreytile`, `put16bitbwtile`), and neither
        # multiplies it by alpha nor inverts it.
        libtiff = None
    if layout[1] == "4x4":
        # libtiff 4.5 misplaces what is left of a row after the last whole unit (`putcontig8bitYCbCr44tile`).
        libtiff = None
    if right is not None and compression not in LOSSY:
        differences.append((off(found, right), 1 if photometric == "ycbcr" else 0))
    if libtiff is not None:
        ours, theirs = found.astype(float), libtiff[..., :3].astype(float)
        if extra.endswith("alpha"):
            ours = np.round(ours * libtiff[..., 3:] / 255)
        # libtiff takes the upper half of 16 bits of grey, and rounds products and its tables of YCbCr otherwise.
        exact = bits in (1, 4, 8) and extra in ("none", "unspecified") and photometric != "ycbcr"
        differences.append((off(ours, theirs), 0 if exact else 2 if extra.endswith("alpha") else 1))
    return differences


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--decoder", required=True, help="the example `pixels` of bridgeclip-photo")
    parser.add_argument("--keep", type=Path, help="folder for the files")
    parser.add_argument("--verbose", action="store_true", help="list every refused kind")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(run(args, args.keep or Path(temporary)))


def run(args, folder):
    folder.mkdir(parents=True, exist_ok=True)
    libtiff, files = Libtiff(), []
    for kind, layout, (compression, predictor) in itertools.product(kinds(), layouts(), COMPRESSIONS):
        if kind[3] + ALPHA[kind[2]] == 1 and layout[1] == "separate":
            continue
        path = folder / f"{len(files):05}.tif"
        try:
            samples, colormap = write(path, kind, layout, compression, predictor)
        except Exception:  # the writer does not know this combination
            path.unlink(missing_ok=True)
            continue
        files.append((path, kind, layout, compression, predictor, truth(kind, samples, colormap)))
    for across, down, order, rows in itertools.product([1, 2, 4], [1, 2, 4], "<>", [4, 16, 64]):
        path = folder / f"{len(files):05}.tif"
        right = write_ycbcr(path, across, down, order, rows)
        files.append((path, ("ycbcr", 8, "none", 3), (rows, f"{across}x{down}", order), None, 1, right))
    for path, kind, layout, compression, predictor, right in list(files):
        if compression is None and (kind[1] in (1, 4) or kind[0] == "ycbcr" and "x" in str(layout[1])):
            for name in ["lzw", "lzw:2", "zip", "packbits", "g4"]:
                copy = folder / f"{len(files):05}.tif"
                if subprocess.run(["tiffcp", "-c", name, path, copy], capture_output=True, check=False).returncode:
                    copy.unlink(missing_ok=True)
                else:
                    files.append((copy, kind, layout, f"{name} by tiffcp", predictor, right))
    for orientation in range(2, 9):
        path = folder / f"{len(files):05}.tif"
        samples = picture(3, 8)
        tifffile.imwrite(path, samples, photometric="rgb", metadata=None, extratags=[(274, "H", 1, orientation, True)])
        files.append((path, ("rgb", 8, "none", 3), (HEIGHT, f"orientation {orientation}", "<"), None, 1, samples))
    done = subprocess.run(
        [args.decoder], input="\n".join(str(file[0]) for file in files), capture_output=True, text=True, check=True
    )
    counts, wrong, refused, kinds_wrong = collections.Counter(), [], collections.Counter(), collections.Counter()
    for (path, kind, layout, compression, predictor, right), line in zip(files, done.stdout.splitlines(), strict=True):
        name = f"{path.name}: {kind}, {layout}, {compression}, predictor {predictor}"
        if line.startswith("refused"):
            counts["refused"] += 1
            refused[(kind[0], kind[1], compression, line.removeprefix("refused "))] += 1
            if not line.endswith(REMEDY):
                wrong.append(f"{name}: no remedy: {line}")
            continue
        found = np.fromfile(f"{path}.rgb", np.uint8).reshape(HEIGHT, WIDTH, 3)
        oracle = None if layout[1].startswith("orientation") else libtiff.rgba(path)
        differences = judge(kind, layout, compression, found, right, oracle)
        counts["compared with libtiff"] += len(differences) - (right is not None and compression not in LOSSY)
        counts["decoded" if differences else "decoded, without an oracle"] += 1
        if any(difference > allowed for difference, allowed in differences):
            wrong.append(f"{name}: off by (found, allowed) {differences}")
            kinds_wrong[(kind, compression, str(differences))] += 1
        if not differences:
            refused[(kind[0], kind[1], compression, "no oracle")] += 1
    print(f"{len(files)} files: {dict(counts)}; {len(wrong)} wrong; {len(done.stderr)} bytes on stderr")
    for line in wrong[:20]:
        print(" ", line)
    for key, count in kinds_wrong.most_common(40):
        print("  wrong:", count, *key)
    if args.verbose:
        for key, count in sorted(refused.items(), key=str):
            print(" ", count, *key)
    return 1 if wrong or done.stderr else 0


if __name__ == "__main__":
    main()
