"""Measures the fused rule, members' answers and prediction sets against the published vote, on many profiles.

  benches/answers/rules PROGRAM RESULTS [--seeds 101 150] [--references 300 30000] [--photos 5360]

Each seed makes a profile (`bridgeclip-models profile`) whose reference has a size between the two given ones, spread
evenly by ratio. Heads and rules are fitted to it with the held-out photos of every other bridge; the others are new photos
to answer. RESULTS gets one line of JSON for each seed. Seeds that it has already are not measured again, so the bench can
be stopped. At the end, the summary of all lines is printed: means over the seeds with 95 % intervals, and the least gain.
"""

import argparse
import json
import math
import tempfile
from collections import Counter
from pathlib import Path
from statistics import mean, stdev

from bridgeclip_models.profile.files import make, write
from photos import Photos, Program

MEMBER_PHOTOS = 3


def references_of(seed: int, seeds, references) -> int:
    """Returns the size of a seed's reference. Neighbouring seeds get sizes far apart, so that any part of the seeds has
    all sizes."""
    place = (seed - seeds[0]) * 0.618034 % 1
    return round(references[0] * (references[1] / references[0]) ** place)


def first_of_members(photos: Photos) -> Photos:
    """Returns the first three photos of each member that has three."""
    counts, seen = Counter(row["member"] for row in photos.rows), Counter()

    def wants(row) -> bool:
        seen[row["member"]] += 1
        return counts[row["member"]] >= MEMBER_PHOTOS and seen[row["member"]] <= MEMBER_PHOTOS

    return photos.where(wants)


def calibration(scores: dict) -> dict:
    return {id: category["calibration"]["expected_error"] for id, category in scores["categories"].items()}


def measure(program: str, seed: int, references: int, photos: int) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(make(seed, references, photos), folder / "profile")
        bench = Program(program, folder)
        bench.refer_to(Photos.read(folder / "profile/reference"))
        fit, new = Photos.read(folder / "profile/held-out").halves()
        bench.run("reference", "fit-heads", "--package", bench.package)
        fitted = bench.run("reference", "fit-rules", *fit.write(folder / "fit"), "--package", bench.package, "--json")
        arguments, trios = new.write(folder / "new"), first_of_members(new).write(folder / "trios")
        score = lambda photos, rule, *more: bench.scores(photos, "--rule", rule, *more)
        new = {rule: score(arguments, rule) for rule in ("published", "balanced", "fused")}
        trio = {
            "published": score(trios, "published"),
            "fused": score(trios, "fused"),
            "members": score(trios, "fused", "--members", "member"),
        }
        return {
            "seed": seed,
            "references": references,
            "new": {rule: scores["mean_macro_f1"] for rule, scores in new.items()},
            "calibration": {rule: calibration(scores) for rule, scores in new.items()},
            "trios": {rule: scores["mean_macro_f1"] for rule, scores in trio.items()},
            "report": json.loads(fitted),
        }


def interval(values) -> str:
    half = 1.96 * stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return f"{mean(values):+.4f} [{mean(values) - half:+.4f}, {mean(values) + half:+.4f}], least {min(values):+.4f}"


def summarise(lines) -> None:
    print(f"{len(lines)} seeds, {min(line['references'] for line in lines)} to {max(line['references'] for line in lines)} references")
    print("fused - published, new photos        ", interval([line["new"]["fused"] - line["new"]["published"] for line in lines]))
    print("fused - published, members of three  ", interval([line["trios"]["fused"] - line["trios"]["published"] for line in lines]))
    print("members - published, members of three", interval([line["trios"]["members"] - line["trios"]["published"] for line in lines]))
    for rule in ("published", "balanced", "fused"):
        errors = [error for line in lines for error in line["calibration"][rule].values()]
        print(f"calibration error, {rule:<9} mean {mean(errors):.4f}, greatest {max(errors):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("results", type=Path)
    parser.add_argument("--seeds", type=int, nargs=2, default=[101, 150], metavar=("FIRST", "LAST"))
    parser.add_argument("--references", type=int, nargs=2, default=[300, 30_000], metavar=("LEAST", "MOST"))
    parser.add_argument("--photos", type=int, default=5_360)
    args = parser.parse_args()
    lines = [json.loads(line) for line in args.results.read_text(encoding="utf-8").splitlines()] if args.results.exists() else []
    known = {line["seed"] for line in lines}
    for seed in range(args.seeds[0], args.seeds[1] + 1):
        if seed not in known:
            lines.append(measure(args.program, seed, references_of(seed, args.seeds, args.references), args.photos))
            with args.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(lines[-1]) + "\n")
            print(f"seed {seed}: {lines[-1]['references']} references, {lines[-1]['new']}, {lines[-1]['trios']}", flush=True)
    summarise(lines)


if __name__ == "__main__":
    main()
