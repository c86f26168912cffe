"""Compares the image encoder of a ViT-B/32 on one core with other engines, on the same weights and pictures.

    run [--rounds N]            makes everything that is missing, measures, prints a table and writes results.json

Weights are random from a seed, and normally distributed like those of trained networks. Every engine runs in a process of
its own on the same core. All engines take a turn in each round, so that other load on the machine affects all of them.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BRIDGECLIP = ROOT / "target/release/bridgeclip"
SIZE = 224
SEED = 0
WARM_UP = 5


@dataclass(frozen=True)
class Files:
    """Files that are made once, all in one folder."""

    folder: Path

    @property
    def float_package(self) -> Path:
        return self.folder / "float"

    @property
    def int8_package(self) -> Path:
        return self.folder / "int8"

    @property
    def float_graph(self) -> Path:
        return self.float_package / "image.onnx"

    @property
    def ort_int8(self) -> Path:
        return self.folder / "ort_int8.onnx"

    @property
    def openvino_int8(self) -> Path:
        return self.folder / "openvino_int8.xml"

    @property
    def pictures(self) -> list[Path]:
        return sorted(self.folder.glob("picture_*.png"))


# Making what is measured


def make(files: Files) -> None:
    files.folder.mkdir(parents=True, exist_ok=True)
    steps: list[tuple[Path, Callable[[Files], None]]] = [
        (files.float_package, make_float_package),
        (files.folder / "picture_23.png", make_pictures),
        (files.int8_package, make_int8_package),
        (files.ort_int8, make_ort_int8),
        (files.openvino_int8, make_openvino_int8),
    ]
    for target, step in steps:
        if not target.exists():
            print(f"making {target}", file=sys.stderr)
            step(files)


def make_float_package(files: Files) -> None:
    import torch
    from bridgeclip_models.architecture import build_model, load_architecture

    torch.manual_seed(SEED)
    model = build_model(load_architecture("ViT-B-32"))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim >= 2 and "embedding" not in name:
                fan = value.shape[0] if name.endswith(("proj", "text_projection")) else value[0].numel()
                value.normal_(0, fan**-0.5)
    checkpoint = files.folder / "seeded.pt"
    torch.save({"state_dict": model.state_dict()}, checkpoint)
    command = [Path(sys.executable).with_name("bridgeclip-models"), "export", checkpoint, "--architecture", "ViT-B-32"]
    run([*command, "--name", "vit-b-32-seeded", "--caption-language", "en", "--licence", "none", "--out", files.float_package])
    checkpoint.unlink()


def make_pictures(files: Files) -> None:
    """Cuts out the middle of each sample photo, which decoding and resizing leave as it is: all engines see equal pixels."""
    from PIL import Image

    photos = sorted((ROOT / "models/demo/photos").glob("*.JPG"))
    for index, path in enumerate(photos):
        photo = Image.open(path).convert("RGB")
        left, top = (photo.width - SIZE) // 2, (photo.height - SIZE) // 2
        photo.crop((left, top, left + SIZE, top + SIZE)).save(files.folder / f"picture_{index:02}.png")


def make_int8_package(files: Files) -> None:
    run([BRIDGECLIP, "package", "quantize", files.float_package, "--out", files.int8_package])


def make_ort_int8(files: Files) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(files.float_graph, files.ort_int8, per_channel=True, weight_type=QuantType.QInt8)


def make_openvino_int8(files: Files) -> None:
    import nncf
    import openvino
    from openvino._offline_transformations import apply_moc_transformations

    model = openvino.Core().read_model(files.float_graph)
    apply_moc_transformations(model, cf=True)  # folds constants: NNCF requires weights without a Reshape
    calibration = nncf.Dataset([tensor(path) for path in files.pictures])
    model = nncf.quantize(model, calibration, model_type=nncf.ModelType.TRANSFORMER)
    openvino.save_model(model, files.openvino_int8)


def tensor(path: Path) -> np.ndarray:
    from bridgeclip_models.package import MEAN, STD
    from PIL import Image

    pixels = np.asarray(Image.open(path), dtype=np.float32) / np.float32(255)
    normalised = (pixels - np.float32(MEAN)) / np.float32(STD)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)[None])


# Engines that run in Python, each in a process of its own: `peers.py worker ENGINE`.


def ort(graph: Path) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(None, {"image": x})[0]


def openvino_graph(graph: Path) -> Callable[[np.ndarray], np.ndarray]:
    import openvino

    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = openvino.Core().compile_model(graph, "CPU", settings).create_infer_request()
    return lambda x: request.infer({0: x})[0]


def torch_model(files: Files) -> Callable[[np.ndarray], np.ndarray]:
    import onnx
    import torch
    from bridgeclip_models.architecture import build_model, load_architecture
    from onnx import numpy_helper

    torch.set_num_threads(1)
    stored = {tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in onnx.load(files.float_graph).graph.initializer}
    model = build_model(load_architecture("ViT-B-32")).eval()
    missing, _ = model.load_state_dict(stored, strict=False)
    assert not [name for name in missing if name.startswith("visual.")], missing

    @torch.inference_mode()
    def encode(x: np.ndarray) -> np.ndarray:
        return model.encode_image(torch.from_numpy(x)).numpy()

    return encode


PYTHON_ENGINES: dict[str, Callable[[Files], Callable[[np.ndarray], np.ndarray]]] = {
    "PyTorch fp32": torch_model,
    "ONNX Runtime fp32": lambda files: ort(files.float_graph),
    "ONNX Runtime int8, dynamic": lambda files: ort(files.ort_int8),
    "OpenVINO int8, static": lambda files: openvino_graph(files.openvino_int8),
}


def worker(engine: str, files: Files) -> None:
    """Prints the embeddings of the pictures; then, for every number N read, the times of N runs in milliseconds."""
    encode = PYTHON_ENGINES[engine](files)
    inputs = [tensor(path) for path in files.pictures]
    print(json.dumps([encode(x).ravel().tolist() for x in inputs]), flush=True)
    for line in sys.stdin:
        times = []
        for _ in range(int(line) + WARM_UP):
            begin = time.perf_counter()
            encode(inputs[0])
            times.append((time.perf_counter() - begin) * 1e3)
        print(json.dumps(times[WARM_UP:]), flush=True)


class PythonEngine:
    def __init__(self, name: str, files: Files, cores: set[int]) -> None:
        command = [sys.executable, __file__, "worker", name, "--work", files.folder]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=lambda: os.sched_setaffinity(0, cores)
        )
        self.embeddings = np.array(self._read())

    def median(self, count: int) -> float:
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return statistics.median(self._read())

    def _read(self) -> list:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args[3]}: ended unexpectedly")
        return json.loads(line)


# Our program, with one process per turn, as users run it.


class OurEngine:
    def __init__(self, package: Path, files: Files, cores: set[int], *, kernel: str = "", threads: int = 1) -> None:
        self.package, self.cores, self.threads = package, cores, threads
        self.environment = os.environ | {"BRIDGECLIP_KERNEL": kernel}
        out = files.folder / "embeddings.npy"
        run([BRIDGECLIP, "embed", *files.pictures, "--package", package, "--out", out], env=self.environment)
        self.embeddings = np.load(out)
        self.reports: list[dict] = []

    def median(self, count: int) -> float:
        command = [BRIDGECLIP, "bench", "encode", "--json", "--package", self.package, "--repeat", count, "--threads", self.threads]
        done = subprocess.run(
            [str(part) for part in command],
            check=True,
            capture_output=True,
            text=True,
            env=self.environment,
            preexec_fn=lambda: os.sched_setaffinity(0, self.cores),
        )
        self.reports.append(json.loads(done.stdout))
        return self.reports[-1]["encoders"][0]["median_ms"]

    def reported(self, figure: Callable[[dict], float]) -> float:
        return statistics.median(figure(report) for report in self.reports)


# The measurement

TRACT, OURS, AVX_VNNI, AVX2, TWO = "tract fp32", "BridgeCLIP int8", "  as AVX-VNNI", "  as AVX2", "  two threads"


def measure(files: Files, rounds: int, count: int) -> dict:
    available = sorted(os.sched_getaffinity(0))
    one, two = {available[-1]}, set(available[-2:])
    engines: dict[str, PythonEngine | OurEngine] = {name: PythonEngine(name, files, one) for name in PYTHON_ENGINES}
    engines[TRACT] = OurEngine(files.float_package, files, one)
    engines[OURS] = OurEngine(files.int8_package, files, one)
    for name, kernel in ((AVX_VNNI, "avxvnni"), (AVX2, "avx2")):
        if kernel in kernels():
            engines[name] = OurEngine(files.int8_package, files, one, kernel=kernel)
    engines[TWO] = OurEngine(files.int8_package, files, two, threads=2)
    medians: dict[str, list[float]] = {name: [] for name in engines}
    for number in range(rounds):
        for name, engine in engines.items():
            print(f"\rround {number + 1} of {rounds}: {name:<30}", end="", file=sys.stderr)
            medians[name].append(engine.median(count))
    print("\r" + " " * 60, end="\r", file=sys.stderr)
    truth = engines["PyTorch fp32"].embeddings
    ours: OurEngine = engines[OURS]
    return {
        "date": date.today().isoformat(),
        "processor": processor(),
        "kernel": ours.reports[0]["kernel"],
        "rounds": rounds,
        "runs_per_round": count,
        "engines": {
            name: {
                "median_ms": statistics.median(medians[name]),
                "round_medians_ms": medians[name],
                "cosine_mean": float(np.mean(cosines(engine.embeddings, truth))),
                "cosine_worst": float(np.min(cosines(engine.embeddings, truth))),
            }
            for name, engine in engines.items()
        },
        "ours": {
            "times_floor": ours.reported(lambda report: report["encoders"][0]["times_floor"]),
            "int8_peak_per_s": ours.reported(lambda report: report["encoders"][0]["int8_peak_per_s"]),
            "multiply_adds": ours.reports[0]["encoders"][0]["multiply_adds"],
            "open_and_load_ms": ours.reported(lambda report: report["open_ms"] + report["encoders"][0]["load_ms"]),
            "memory_bytes": ours.reported(lambda report: report["memory_peak_bytes"]),
            "image_weights_bytes": (files.int8_package / "image.weights").stat().st_size,
        },
    }


def kernels() -> str:
    done = subprocess.run([BRIDGECLIP, "check", "--json"], check=False, capture_output=True, text=True)
    return next(finding["text"] for finding in json.loads(done.stdout)["findings"] if finding["name"] == "kernel")


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def table(results: dict) -> str:
    engines, ours = results["engines"], results["ours"]
    fastest = engines[OURS]["median_ms"]
    lines = [
        f"{results['date']}, {results['processor']}, one core unless said otherwise; median of {results['rounds']} rounds",
        "",
        "| engine | ms | ours is faster by | cosine to PyTorch, mean / worst |",
        "|---|---|---|---|",
    ]
    for name, engine in engines.items():
        cosine = f"{engine['cosine_mean']:.5f} / {engine['cosine_worst']:.5f}"
        lines.append(f"| {name.strip()} | {engine['median_ms']:.2f} | {engine['median_ms'] / fastest:.2f} | {cosine} |")
    ratio = lambda a, b: engines[a]["median_ms"] / engines[b]["median_ms"]  # noqa: E731
    rows = [
        ("time against the floor (multiply-adds at the measured int8 peak)", f"{ours['times_floor']:.2f}"),
        ("the core's int8 peak", f"{ours['int8_peak_per_s'] / 1e9:.0f} G/s"),
        ("two threads against one", f"{ratio(OURS, TWO):.2f}"),
        ("package to ready (verified and loaded)", f"{ours['open_and_load_ms']:.0f} ms"),
        ("memory, whole process", f"{ours['memory_bytes'] / 1e6:.0f} MB"),
        ("image encoder file", f"{ours['image_weights_bytes'] / 1e6:.1f} MB"),
    ]
    if AVX2 in engines:
        rows.insert(2, ("kernel AVX2 against tract fp32", f"{ratio(TRACT, AVX2):.2f}"))
    return "\n".join([*lines, "", "| BridgeCLIP int8 | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def run(command: list, **options) -> None:
    subprocess.run([str(part) for part in command], check=True, stdout=sys.stderr, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("measure", "worker"), nargs="?", default="measure")
    parser.add_argument("engine", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where models and pictures are kept between runs")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--count", type=int, default=30, help="runs of each engine in a round")
    args = parser.parse_args()
    files = Files(args.work)
    if args.command == "worker":
        worker(args.engine, files)
        return
    make(files)
    results = measure(files, args.rounds, args.count)
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    main()
