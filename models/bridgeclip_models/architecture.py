"""An open_clip architecture: its configuration, the options that can be exported, and its PyTorch model."""

import copy
import json
from dataclasses import dataclass, fields
from pathlib import Path

import open_clip
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP

from .errors import UserError

VOCABULARY_SIZE = 49408  # size of CLIP's byte-pair encoding, the only tokenizer that a package supports
_TOWER_KEYS = ("vision_cfg", "text_cfg")


@dataclass(frozen=True)
class Architecture:
    """An open_clip model configuration and its name."""

    name: str
    config: dict  # open_clip's own: embed_dim, vision_cfg, text_cfg and options

    @property
    def vision(self) -> CLIPVisionCfg:
        return _tower(self, "vision_cfg", CLIPVisionCfg)

    @property
    def text(self) -> CLIPTextCfg:
        return _tower(self, "text_cfg", CLIPTextCfg)

    @property
    def embedding_dim(self) -> int:
        return self.config["embed_dim"]

    @property
    def quick_gelu(self) -> bool:
        return self.config.get("quick_gelu", False)

    @property
    def text_prefix(self) -> str:
        """Prefix of the names of the text encoder's tensors."""
        return "text." if self.config.get("custom_text", False) else ""


def load_architecture(name_or_path: str) -> Architecture:
    """Looks up an open_clip model name, or reads an open_clip model config (.json)."""
    if name_or_path.endswith(".json"):
        path = Path(name_or_path)
        config, name = _read_config(path), path.stem
    else:
        config, name = open_clip.get_model_config(name_or_path), name_or_path
        if config is None:
            raise UserError(
                f"{name_or_path}: open_clip {open_clip.__version__} has no such model; "
                f"give a name such as ViT-B-32, or the path of a model config ending in .json"
            )
    return Architecture(name, config)


def build_model(architecture: Architecture) -> torch.nn.Module:
    """Builds the PyTorch model in float32, with fresh random weights."""
    config = copy.deepcopy(architecture.config)
    model_class = CustomTextCLIP if config.pop("custom_text", False) else CLIP
    try:
        return model_class(**config)
    except (TypeError, AssertionError, ValueError) as error:
        raise UserError(f"{architecture.name}: open_clip cannot build this model config: {error}") from error


def check_exportable(architecture: Architecture) -> None:
    """Refuses an architecture that uses an option which the ONNX graphs do not implement, and names that option."""
    if "multimodal_cfg" in architecture.config:
        raise _unsupported(architecture, "multimodal_cfg", "CoCa has a third tower; export a plain CLIP model")
    _check_blocks(architecture, "vision_cfg", architecture.vision)
    _check_blocks(architecture, "text_cfg", architecture.text)
    _check_vision(architecture)
    _check_text(architecture)


def _read_config(path: Path) -> dict:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such model config; give a .json file as open_clip's model_configs/ has them") from None
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file: {error}") from error
    config = config.get("model_cfg", config)  # the wrapped form of open_clip_config.json
    missing = [key for key in ("embed_dim", *_TOWER_KEYS) if key not in config]
    if missing:
        raise UserError(f"{path}: {', '.join(missing)} missing; an open_clip model config is expected")
    return config


def _tower(architecture: Architecture, key: str, config_class: type) -> object:
    config = architecture.config[key]
    known = {field.name for field in fields(config_class)}
    unknown = sorted(set(config) - known)
    if unknown:
        raise _unsupported(architecture, f"{key}.{unknown[0]}", "open_clip knows no such option")
    return config_class(**config)


def _check_blocks(architecture: Architecture, key: str, tower: CLIPVisionCfg | CLIPTextCfg) -> None:
    custom = ("qk_norm", "scaled_cosine_attn", "scale_heads", "scale_attn_inner", "scale_attn", "scale_fc")
    for option in custom:
        if getattr(tower, option):
            raise _unsupported(architecture, f"{key}.{option}", "only plain pre-norm attention blocks can be exported")
    if tower.block_type not in (None, "default"):
        raise _unsupported(architecture, f"{key}.block_type", "only the default block can be exported")
    if tower.act_kwargs:
        raise _unsupported(architecture, f"{key}.act_kwargs", "only plain GELU and QuickGELU can be exported")


def _check_vision(architecture: Architecture) -> None:
    vision = architecture.vision
    if vision.timm_model_name:
        raise _unsupported(architecture, "vision_cfg.timm_model_name", "only open_clip's own VisionTransformer can be exported")
    if not isinstance(vision.layers, int):
        raise _unsupported(architecture, "vision_cfg.layers", "a list means a ResNet; only a VisionTransformer can be exported")
    if vision.attentional_pool:
        raise _unsupported(architecture, "vision_cfg.attentional_pool", "only pool_type tok and avg can be exported")
    if vision.pool_type not in ("tok", "avg"):
        raise _unsupported(architecture, f"vision_cfg.pool_type={vision.pool_type}", "only tok and avg can be exported")
    if not isinstance(vision.image_size, int) or not isinstance(vision.patch_size, int):
        raise _unsupported(architecture, "vision_cfg.image_size / patch_size", "only square images and patches can be exported")
    if vision.image_size % vision.patch_size:
        raise _unsupported(architecture, "vision_cfg.patch_size", f"it does not divide the image size {vision.image_size}")


def _check_text(architecture: Architecture) -> None:
    text = architecture.text
    if text.hf_model_name:
        raise _unsupported(architecture, "text_cfg.hf_model_name", "only open_clip's own TextTransformer can be exported")
    if text.hf_tokenizer_name or text.tokenizer_kwargs or text.vocab_size != VOCABULARY_SIZE:
        raise _unsupported(
            architecture, "text_cfg.hf_tokenizer_name / tokenizer_kwargs / vocab_size",
            f"only CLIP's own tokenizer ({VOCABULARY_SIZE} tokens) can be exported",
        )
    if text.embed_cls:
        raise _unsupported(architecture, "text_cfg.embed_cls", "only text pooling without an extra class token can be exported")
    if text.pool_type not in ("argmax", "eos", "first", "last"):
        raise _unsupported(architecture, f"text_cfg.pool_type={text.pool_type}", "only argmax, eos, first and last can be exported")
    if text.proj_type not in ("linear", "none"):
        raise _unsupported(architecture, f"text_cfg.proj_type={text.proj_type}", "only linear and none can be exported")


def _unsupported(architecture: Architecture, option: str, remedy: str) -> UserError:
    return UserError(f"{architecture.name}: {option} is not supported: {remedy}")
