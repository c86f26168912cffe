"""Reference results for the device software's tests, by PyTorch, open_clip and scikit-learn."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import open_clip
import torch

from .architecture import Architecture, build_model, load_architecture
from .captions import Labels, caption, categories
from .classifier_goldens import write_classifiers
from .demo_goldens import write_demo
from .demo_model import PHOTOS
from .golden_images import floats, image_results
from .golden_texts import CAPTIONS, TEXTS
from .graph import Graph
from .head_goldens import write_heads
from .json_lines import write_list, write_lists
from .metric_goldens import write_metrics
from .photo_goldens import write_photos
from .seeded import Spread, seeded
from .towers import IMAGE_GRAPH, TEXT_GRAPH, image_graph, text_graph

VIT_B32 = "ViT-B-32"
_VIT_TEXTS = (CAPTIONS[0], CAPTIONS[2], " ".join(["crack"] * 100))  # short, usual and too long


def write_goldens(out: Path, parts: Sequence[str], demo: Path, work: Path) -> Iterator[Path]:
    """Writes the given parts below `out` and yields each file's path. `demo` and `work` are the folders of the demo."""
    out.mkdir(parents=True, exist_ok=True)
    for part in parts:
        if part == "demo":
            yield from write_demo(out / part, demo, work)
        elif part == "photos":
            yield from write_photos(out / part, demo / PHOTOS)
        elif part == "classifiers":
            yield from write_classifiers(out, demo)
        else:
            yield from _WRITERS[part](out)


def _write_tokens(out: Path) -> Iterator[Path]:
    tokenizer = open_clip.get_tokenizer(VIT_B32)
    entries = [{"text": text, "tokens": tokenizer([text])[0].tolist()} for text in TEXTS]
    yield write_list(out / "tokens.json", entries)


def _write_captions(out: Path) -> Iterator[Path]:
    examples = (
        Labels("III", "C1", ("cracking",), ("main girder",)),
        Labels("II", "B", ("corrosion", "deterioration of anti-corrosion function"), ("main girder", "cross girder")),
        Labels("I", "A", ("water leakage / efflorescence",), ("deck slab",)),
        Labels("IV", "E2", ("spalling / rebar exposure", "delamination", "cracking"), ("deck slab",)),
        Labels("II", "M", ("soil/debris clogging",), ("drainage facility",)),
        Labels("III", "S1", ("bearing dysfunction",), ("bearing", "pier")),
        Labels("II", "S2", ("other",), ("other",)),
        Labels("III", "C2", ("scour",), ("pier",)),
        Labels(None, None, ("fatigue cracking",), ("main girder",)),
        Labels("IV", None, ("fracture",), ("unseating prevention system",)),
        Labels(None, "E1", ("loosening / dislodgement",), ("railing",)),
        Labels("I", None),
        Labels(None, "A"),
        Labels("I", "A"),
        Labels(),
    )
    columns = {category.id: category.column for category in categories().values()}
    entries = [_caption_example(labels, columns) for labels in examples]
    yield write_list(out / "captions.json", entries)


def _caption_example(labels: Labels, columns: dict[str, str]) -> dict[str, str]:
    cells = {
        columns["soundness"]: labels.soundness or "",
        columns["measure"]: labels.measure or "",
        columns["damage_type"]: "|".join(labels.damage_type),
        columns["damage_location"]: "|".join(labels.damage_location),
    }
    return {"caption": caption(labels)} | cells


def _write_heads(out: Path) -> Iterator[Path]:
    yield write_heads(out)


def _write_metrics(out: Path) -> Iterator[Path]:
    yield write_metrics(out / "metrics.json")


def _write_vit_b32(out: Path) -> Iterator[Path]:
    folder = out / "vit_b32"
    folder.mkdir(exist_ok=True)
    architecture = load_architecture(VIT_B32)
    model, spreads = _seeded_model(architecture)
    graphs = {
        IMAGE_GRAPH: image_graph(model.state_dict(), architecture),
        TEXT_GRAPH: text_graph(model.state_dict(), architecture),
    }
    for name, graph in graphs.items():
        path = folder / name
        path.write_bytes(graph.model.SerializeToString(deterministic=True))
        yield path
    goldens = {"tensors": _tensor_list(graphs, spreads), "images": image_results(model), "texts": _text_results(model)}
    yield write_lists(folder / "goldens.json", goldens)


def _seeded_model(architecture: Architecture) -> tuple[torch.nn.Module, dict[str, Spread]]:
    model = build_model(architecture).eval()
    spreads = {name: _spread(name, tuple(value.shape)) for name, value in model.state_dict().items()}
    weights = {
        name: torch.from_numpy(seeded(name, tuple(value.shape), spreads[name])) for name, value in model.state_dict().items()
    }
    model.load_state_dict(weights, strict=True)
    return model, spreads


def _spread(name: str, shape: tuple[int, ...]) -> Spread:
    """Returns a range of weights that keeps activations moderate, so that the embedding visibly depends on the input."""
    if ".ln_" in f".{name}" and name.endswith("weight"):
        return Spread(1.0, 0.1)
    if name.endswith("bias") or not shape:
        return Spread(0.0, 0.02)
    if name.endswith("embedding") or "embedding." in name:
        fan = shape[-1]
    elif name in ("visual.proj", "text_projection"):  # stored [in, out]
        fan = shape[0]
    else:
        fan = math.prod(shape[1:])
    return Spread(0.0, math.sqrt(3 / fan))  # uniform distribution of variance 1 / fan


def _tensor_list(graphs: dict[str, Graph], spreads: dict[str, Spread]) -> list[dict]:
    return [
        {
            "graph": file,
            "name": tensor.name,
            "shape": list(tensor.values.shape),
            "byte_offset": tensor.offset,
            "offset": spreads[tensor.name].offset,
            "scale": spreads[tensor.name].scale,
        }
        for file, graph in graphs.items()
        for tensor in graph.tensors
    ]


@torch.inference_mode()
def _text_results(model: torch.nn.Module) -> list[dict]:
    tokens = open_clip.get_tokenizer(VIT_B32)(list(_VIT_TEXTS))
    rows = model.encode_text(tokens, normalize=True)
    return [{"tokens": ids.tolist(), "embedding": floats(row)} for ids, row in zip(tokens, rows, strict=True)]


_WRITERS: dict[str, Callable[[Path], Iterator[Path]]] = {
    "tokens": _write_tokens,
    "captions": _write_captions,
    "heads": _write_heads,
    "metrics": _write_metrics,
    "vit_b32": _write_vit_b32,
}
PARTS = (*_WRITERS, "photos", "demo", "classifiers")
