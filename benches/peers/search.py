"""Compares the search for the nearest ten of 90,987 vectors of 512 values with faiss, on one core: speed and results.

    run search [--rounds N]     makes the data that is missing, measures, prints tables and writes search.json

There are three kinds of data: 200 noisy clusters, uniform directions, and few vectors that each occur many times. Speed is
measured on the clusters, which real photos resemble most. Results are compared with a search in f64, with ties by row.
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import numpy as np

from peers import BRIDGECLIP, HERE, Files, make_float_package, make_int8_package, make_pictures, processor, run

ROWS, DIM, QUERIES, NEIGHBOURS = 90_987, 512, 256, 10
KINDS = ("clusters", "uniform", "duplicates")
COLUMNS = "image,text,kenzenudo,taisaku,damage_type,damage_loc,kenzenudo_valid,taisaku_valid,damage_type_valid,damage_loc_valid"


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def data(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows and queries."""
    random = np.random.default_rng(0)
    noise = lambda count, scale: scale * random.standard_normal((count, DIM), dtype=np.float32)  # noqa: E731
    if kind == "uniform":
        return unit(noise(ROWS, 1)), unit(noise(QUERIES, 1))
    if kind == "duplicates":
        few = unit(noise(1000, 1))
        return few[random.integers(1000, size=ROWS)], unit(few[:QUERIES] + noise(QUERIES, 0.01))
    centres = unit(noise(200, 1))
    near = lambda count: unit(centres[random.integers(200, size=count)] + noise(count, 0.03))  # noqa: E731
    return near(ROWS), near(QUERIES)


def make(files: Files, kind: str) -> Path:
    """Makes a package whose reference contains the rows."""
    package = files.folder / f"search_{kind}"
    if package.exists():
        return package
    print(f"making {package}", file=sys.stderr)
    if not files.float_package.exists():
        files.folder.mkdir(parents=True, exist_ok=True)
        make_float_package(files)
    if not files.int8_package.exists():
        make_pictures(files)
        make_int8_package(files)
    rows, queries = data(kind)
    part = package.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(files.int8_package, part)
    np.save(part / "rows.npy", rows)
    np.save(part / "queries.npy", queries)
    with open(part / "rows.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS.split(","))
        writer.writerows([f"{row}.jpg", "", "II", "C1", "cracking", "main girder", 1, 1, 1, 1] for row in range(len(rows)))
    run([BRIDGECLIP, "reference", "import", "--embeddings", part / "rows.npy", "--csv", part / "rows.csv", "--package", part])
    part.rename(package)
    return package


def truth(package: Path) -> np.ndarray:
    rows, queries = (np.load(package / f"{name}.npy").astype(np.float64) for name in ("rows", "queries"))
    return np.argsort(-(queries @ rows.T), axis=1, kind="stable")[:, :NEIGHBOURS]


def recall(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.mean([len(set(a) & set(b)) / NEIGHBOURS for a, b in zip(found, expected)]))


class Faiss:
    def __init__(self, package: Path, quantised: bool) -> None:
        import faiss

        faiss.omp_set_num_threads(1)
        rows = np.load(package / "rows.npy")
        self.queries = np.load(package / "queries.npy")
        kind = faiss.ScalarQuantizer.QT_8bit
        self.index = faiss.IndexScalarQuantizer(DIM, kind, faiss.METRIC_INNER_PRODUCT) if quantised else faiss.IndexFlatIP(DIM)
        self.index.train(rows)
        self.index.add(rows)

    def turn(self, count: int) -> tuple[float, float]:
        """Returns the milliseconds of one query alone, and of each query when all run at once."""
        one = [self._timed(self.queries[i % QUERIES : i % QUERIES + 1]) for i in range(count)]
        return statistics.median(one[5:]), self._timed(self.queries) / QUERIES

    def found(self) -> np.ndarray:
        return self.index.search(self.queries, NEIGHBOURS)[1]

    def _timed(self, queries: np.ndarray) -> float:
        begin = time.perf_counter()
        self.index.search(queries, NEIGHBOURS)
        return (time.perf_counter() - begin) * 1e3


class Ours:
    def __init__(self, package: Path, kernel: str = "") -> None:
        command = [BRIDGECLIP, "bench", "search", "--json", "--package", package, "--queries", package / "queries.npy"]
        self.command = [str(part) for part in command]
        self.environment = os.environ | {"BRIDGECLIP_KERNEL": kernel}
        self.report: dict = {}

    def turn(self, count: int) -> tuple[float, float]:
        done = subprocess.run([*self.command, "--repeat", str(count)], check=True, capture_output=True, text=True, env=self.environment)
        self.report = json.loads(done.stdout)
        search = self.report["search"]
        return search["median_ms"], search["batch_ms_per_query"]

    def found(self) -> np.ndarray:
        if not self.report:
            self.turn(10)
        return np.array(self.report["search"]["found"])


def measure(files: Files, rounds: int, count: int) -> dict:
    packages = {kind: make(files, kind) for kind in KINDS}
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    recalls = {}
    for kind, package in packages.items():
        expected = truth(package)
        engines = {"faiss flat": Faiss(package, False), "faiss 8-bit": Faiss(package, True), "BridgeCLIP": Ours(package)}
        recalls[kind] = {name: recall(engine.found(), expected) for name, engine in engines.items()}
    package = packages["clusters"]
    engines = {"faiss flat": Faiss(package, False), "faiss 8-bit": Faiss(package, True), "BridgeCLIP": Ours(package)}
    engines["  as AVX2"] = Ours(package, "avx2")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in engines}
    for number in range(rounds):
        for name, engine in engines.items():
            print(f"\rround {number + 1} of {rounds}: {name:<20}", end="", file=sys.stderr)
            times[name].append(engine.turn(count))
    print("\r" + " " * 40, end="\r", file=sys.stderr)
    ours = engines["BridgeCLIP"].report
    return {
        "date": date.today().isoformat(),
        "processor": processor(),
        "kernel": ours["kernel"],
        "times_ms": {name: [statistics.median(column) for column in zip(*values)] for name, values in times.items()},
        "recall": recalls,
        "first_answer_ms": ours["search"]["load_ms"],
        "memory_bytes": ours["memory_peak_bytes"],
    }


def table(results: dict) -> str:
    times, recalls = results["times_ms"], results["recall"]
    fastest = times["BridgeCLIP"]
    lines = [
        f"{results['date']}, {results['processor']}, kernel {results['kernel']}, one core",
        "",
        "| engine | one query, ms | ours is faster by | 256 at once, ms each | ours is faster by | recall@10: " + ", ".join(KINDS) + " |",
        "|---|---|---|---|---|---|",
    ]
    for name, (one, many) in times.items():
        found = ", ".join(f"{recalls[kind][name]:.4f}" for kind in KINDS) if name in recalls[KINDS[0]] else "the same"
        lines.append(f"| {name.strip()} | {one:.2f} | {one / fastest[0]:.2f} | {many:.3f} | {many / fastest[1]:.2f} | {found} |")
    lines += ["", f"Open to first answer {results['first_answer_ms']:.0f} ms; whole process at most {results['memory_bytes'] / 1e6:.1f} MB."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where models and data are kept between runs")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=60, help="single queries of each engine in a round")
    args = parser.parse_args()
    results = measure(Files(args.work), args.rounds, args.count)
    (HERE / "search.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
