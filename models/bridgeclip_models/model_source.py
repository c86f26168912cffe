"""From what a user names (a file, a folder, an open_clip tag) to weights and the architecture that they belong to.

  a file      a checkpoint; what the config beside it says counts too
  a folder    of a training run (results.jsonl), of a hub (open_clip_config.json or Hugging Face's config.json beside the
              weights), or with a single checkpoint file
  a tag       of open_clip's pretrained weights, which it downloads
"""

import json
from dataclasses import replace
from pathlib import Path

import open_clip
import torch

from .architecture import Architecture, from_config
from .checkpoint import RESULTS, Checkpoint, best_checkpoint, fit, latest_checkpoint, read_state_dict, sha256_of
from .errors import UserError
from .hugging_face import CONFIG, PREPROCESSOR, architecture_of, is_hugging_face, to_open_clip
from .preprocessing import Preprocessing, from_open_clip

OPEN_CLIP_CONFIG = "open_clip_config.json"
# Names of the weights in a hub's folder, the preferred ones first.
_HUB_WEIGHTS = (
    "open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin",
    "model.safetensors", "pytorch_model.bin",
)
_SUFFIXES = (".pt", ".pth", ".ckpt", ".bin", ".safetensors")


def load_model(source: str, given: Architecture | None, *, trust_pickle: bool = False) -> tuple[Checkpoint, Architecture]:
    """Loads the weights, and the architecture that they belong to, with its way to prepare photos.

    `given` may be None if the source describes itself. If it does and an architecture is given, both must agree.
    """
    path = Path(source)
    if not path.exists():
        return _load_tag(source, given)
    file = _weights_file(path) if path.is_dir() else path
    tensors = read_state_dict(file, trust_pickle=trust_pickle)
    described = _description((file.parent, path), tensors)
    if is_hugging_face(tensors):
        if described is None:
            raise UserError(f"{file}: weights of Hugging Face's CLIPModel; copy its {CONFIG} beside them, which says how to read them")
        tensors = to_open_clip(tensors, str(file))
    architecture = _agreed(given, described, source)
    return Checkpoint(file.name, sha256_of(file), fit(tensors, architecture, str(file))), architecture


def load_checkpoint(source: str, architecture: Architecture, *, trust_pickle: bool = False) -> Checkpoint:
    """Loads weights for exactly this architecture, photos prepared as it says."""
    checkpoint, found = load_model(source, architecture, trust_pickle=trust_pickle)
    if found.preprocessing != architecture.preprocessing:
        raise UserError(f"{source}: trained with other statistics of the pixels ({found.preprocessing}) than {architecture.name} has")
    return checkpoint


def open_clip_config(architecture: Architecture) -> dict:
    """Returns the content of `open_clip_config.json` for an architecture."""
    prepared = architecture.preprocessing
    stated = {"size": architecture.vision.image_size, "mean": list(prepared.mean), "std": list(prepared.std)}
    fixed = {"mode": "RGB", "interpolation": "bicubic", "resize_mode": "shortest", "fill_color": 0}
    return {"model_cfg": architecture.config, "preprocess_cfg": stated | fixed}


def _weights_file(folder: Path) -> Path:
    """Returns the file with the weights in a folder: the best epoch of a run, a hub's file, or the only checkpoint."""
    has_epochs = latest_checkpoint(folder) is not None
    if any((place / RESULTS).is_file() for place in (folder, folder / "checkpoints", *([folder.parent] if has_epochs else []))):
        return best_checkpoint(folder)
    if found := next((folder / name for name in _HUB_WEIGHTS if (folder / name).is_file()), None):
        return found
    if index := next(folder.glob("*.index.json"), None):
        raise UserError(f"{index}: weights in several files; save them as one (save_pretrained with max_shard_size='100GB')")
    if (folder / "adapter_config.json").is_file():
        raise UserError(f"{folder}: LoRA adapters without their base model; merge them into it first")
    found = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    if len(found) == 1:
        return found[0]
    if not found:
        return best_checkpoint(folder)  # looks in the folder above too, and says what is missing
    raise UserError(f"{folder}: {len(found)} checkpoints and no {RESULTS} that says which is best; give one: {', '.join(p.name for p in found[:8])}")


def _description(folders: tuple[Path, ...], tensors: dict[str, torch.Tensor]) -> Architecture | None:
    """Returns the architecture that a config beside the weights describes, or None if there is none."""
    name = CONFIG if is_hugging_face(tensors) else OPEN_CLIP_CONFIG
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        return None
    title = path.resolve().parent.name
    if name == OPEN_CLIP_CONFIG:
        return from_config(_read_json(path), title, str(path))
    preprocessor = path.with_name(PREPROCESSOR)
    return architecture_of(_read_json(path), _read_json(preprocessor) if preprocessor.is_file() else {}, title, str(path))


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); copy it again") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: a JSON object is expected")
    return content


def _agreed(given: Architecture | None, described: Architecture | None, source: str) -> Architecture:
    if given is None and described is None:
        raise UserError(f"{source}: nothing beside it says which architecture it has; give it with --architecture, such as ViT-B-32")
    if given is None or described is None:
        return given or described
    if differences := _differences(given, described):
        raise UserError(f"{source}: its own config disagrees with {given.name} ({'; '.join(differences)}); leave --architecture out")
    if given.stated and described.stated and given.stated != described.stated:
        raise UserError(f"{source}: its own config prepares photos with {described.stated}, {given.name} with {given.stated}")
    return replace(given, stated=described.stated or given.stated)


def _differences(a: Architecture, b: Architecture) -> list[str]:
    pairs = {"embed_dim": (a.embedding_dim, b.embedding_dim), "quick_gelu": (a.quick_gelu, b.quick_gelu)}
    for key in ("vision", "text"):
        towers = vars(getattr(a, key)), vars(getattr(b, key))
        pairs |= {f"{key}_cfg.{name}": (value, towers[1][name]) for name, value in towers[0].items()}
    return [f"{name} is {found} instead of {wanted}" for name, (wanted, found) in pairs.items() if wanted != found]


def _load_tag(tag: str, given: Architecture | None) -> tuple[Checkpoint, Architecture]:
    tags = open_clip.list_pretrained_tags_by_model(given.name) if given else []
    if given is None or tag not in tags:
        of = f", nor a pretrained tag of {given.name} (its tags: {', '.join(tags) or 'none'})" if given else "; a tag needs --architecture"
        raise UserError(f"{tag}: neither a file nor a folder{of}")
    settings = open_clip.get_pretrained_cfg(given.name, tag)
    if settings.get("quick_gelu", False) != given.quick_gelu:
        raise UserError(
            f"{tag}: trained with {'' if settings.get('quick_gelu') else 'plain GELU, not '}QuickGELU; "
            f"choose the architecture with{'' if settings.get('quick_gelu') else 'out'} -quickgelu in its name"
        )
    stated = _tag_preprocessing(settings, given, tag)
    if given.stated and given.stated != stated:
        raise UserError(f"{tag}: its photos are prepared with {stated}, those of {given.name} with {given.stated}")
    try:
        path = Path(open_clip.download_pretrained(settings))
        model = open_clip.create_model(given.name, pretrained=tag)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(f"{tag}: cannot download the weights of {given.name}: {error}") from error
    return Checkpoint(path.name, sha256_of(path), fit(model.state_dict(), given, tag)), replace(given, stated=stated)


def _tag_preprocessing(settings: dict, given: Architecture, tag: str) -> Preprocessing:
    keys = ("size", "mean", "std", "interpolation", "resize_mode")
    return from_open_clip({key: settings[key] for key in keys if settings.get(key) is not None}, given.vision.image_size, tag)
