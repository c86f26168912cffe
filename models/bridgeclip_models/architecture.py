"""An open_clip architecture: its configuration, the options that can be exported, and its PyTorch model."""

import copy
import json
from dataclasses import dataclass, fields
from pathlib import Path

import open_clip
import torch
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg, CustomTextCLIP

from .errors import UserError
from .preprocessing import Preprocessing, from_open_clip

# The device program has CLIP's tokenizer: its byte-pair encoding, the tokens per text, and the one that ends each text.
VOCABULARY_SIZE = 49408
CONTEXT_LENGTH = 77
END_TOKEN = 49407
IMAGE_SIZE_MAX, EMBEDDING_DIM_MAX = 4096, 8192  # limits of the device program
_TOWER_KEYS = ("vision_cfg", "text_cfg")


@dataclass(frozen=True)
class Architecture:
    """An open_clip model configuration, its name, and how its photos are prepared."""

    name: str
    config: dict  # open_clip's own: embed_dim, vision_cfg, text_cfg and options
    stated: Preprocessing | None = None  # what its source says about photos; None if it says nothing

    @property
    def preprocessing(self) -> Preprocessing:
        """The way photos are prepared: that of OpenAI's CLIP unless the source says otherwise."""
        return self.stated or Preprocessing()

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
        return from_config(_read_json(path), path.stem, str(path))
    config = open_clip.get_model_config(name_or_path)
    if config is None:
        raise UserError(
            f"{name_or_path}: open_clip {open_clip.__version__} has no such model; "
            f"give a name such as ViT-B-32, or the path of a model config ending in .json"
        )
    return Architecture(name_or_path, config)


def from_config(content: dict, name: str, source: str) -> Architecture:
    """Makes an architecture from open_clip's model config, bare or in the wrapped form of `open_clip_config.json`."""
    config = content.get("model_cfg", content)
    missing = [key for key in ("embed_dim", *_TOWER_KEYS) if not isinstance(config, dict) or key not in config]
    if missing:
        raise UserError(f"{source}: {', '.join(missing)} missing; an open_clip model config is expected")
    image_size = config["vision_cfg"].get("image_size", CLIPVisionCfg.image_size)
    stated = content.get("preprocess_cfg")
    return Architecture(name, config, from_open_clip(stated, image_size, source) if stated else None)


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
    if not 1 <= architecture.embedding_dim <= EMBEDDING_DIM_MAX:
        raise _unsupported(architecture, f"embed_dim={architecture.embedding_dim}", f"the device program takes 1 to {EMBEDDING_DIM_MAX}")


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such model config; give a .json file as open_clip's model_configs/ has them") from None
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: a JSON object is expected")
    return content


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
    if set(tower.norm_kwargs or {}) - {"eps"}:
        raise _unsupported(architecture, f"{key}.norm_kwargs", "only the epsilon of the layer norms can be changed")
    if tower.output_tokens:
        raise _unsupported(architecture, f"{key}.output_tokens", "only one embedding per input can be exported")
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
    if not 1 <= vision.image_size <= IMAGE_SIZE_MAX:
        raise _unsupported(architecture, f"vision_cfg.image_size={vision.image_size}", f"the device program takes 1 to {IMAGE_SIZE_MAX}")
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
    if text.context_length != CONTEXT_LENGTH:
        raise _unsupported(
            architecture, f"text_cfg.context_length={text.context_length}", f"the device program makes {CONTEXT_LENGTH} tokens of each text"
        )
    if text.tokenizer_mode:
        raise _unsupported(architecture, "text_cfg.tokenizer_mode", "only CLIP's own tokenizer can be exported")
    if text.pool_type == "eos" and text.eos_id != END_TOKEN:
        raise _unsupported(architecture, f"text_cfg.eos_id={text.eos_id}", f"CLIP's tokenizer ends each text with {END_TOKEN}")
    if text.embed_cls:
        raise _unsupported(architecture, "text_cfg.embed_cls", "only text pooling without an extra class token can be exported")
    if text.pool_type not in ("argmax", "eos", "first", "last"):
        raise _unsupported(architecture, f"text_cfg.pool_type={text.pool_type}", "only argmax, eos, first and last can be exported")
    if text.proj_type not in ("linear", "none"):
        raise _unsupported(architecture, f"text_cfg.proj_type={text.proj_type}", "only linear and none can be exported")


def _unsupported(architecture: Architecture, option: str, remedy: str) -> UserError:
    return UserError(f"{architecture.name}: {option} is not supported: {remedy}")
