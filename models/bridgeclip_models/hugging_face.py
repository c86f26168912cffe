"""CLIP models in the format of Hugging Face's transformers: their config.json, and the tensors under open_clip's names.

The two differ in names only: transformers stores the query, key and value projections separately, and its two output
projections transposed. The class token and the end token are pooled alike.
"""

import re
from collections.abc import Mapping

import torch

from .architecture import Architecture
from .errors import UserError
from .preprocessing import from_hugging_face

CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
_ACTIVATIONS = {"quick_gelu": True, "gelu": False}
_END_TOKENS = (2, 49407)  # 2 is what old configs say; transformers then pools the highest token number, which is the end
_LAYER = re.compile(r"(vision_model|text_model)\.encoder\.layers\.(\d+)\.(.+)")
_PLAIN = {
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",  # spelt like this in transformers
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "logit_scale": "logit_scale",
}
_TRANSPOSED = {"visual_projection.weight": "visual.proj", "text_projection.weight": "text_projection"}
_BLOCK = {"self_attn.out_proj": "attn.out_proj", "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
_TOWERS = {"vision_model": "visual.", "text_model": ""}


def is_hugging_face(names: Mapping[str, object]) -> bool:
    """Reports whether tensors have the names of transformers' CLIPModel."""
    return any(_LAYER.fullmatch(name) for name in names)


def to_open_clip(tensors: Mapping[str, torch.Tensor], source: str) -> dict[str, torch.Tensor]:
    """Returns the tensors under open_clip's names. Fails on a name that belongs to no CLIPModel."""
    found: dict[str, torch.Tensor] = {}
    for name, value in tensors.items():
        if name.endswith(".position_ids"):
            continue  # the numbers 0, 1, 2 ..., which old versions saved along with the weights
        if name in _TRANSPOSED:
            found[_TRANSPOSED[name]] = value.T.contiguous()
        else:
            found[_PLAIN.get(name) or _block_name(name, source)] = value
    return _joined(found, source)


def architecture_of(config: Mapping[str, object], preprocessor: Mapping[str, object], name: str, source: str) -> Architecture:
    """Makes the architecture that a CLIPModel's config.json describes. Missing keys have the defaults of transformers."""
    if (kind := config.get("model_type")) != "clip":
        raise UserError(f"{source}: model_type is {kind!r}; of Hugging Face's models only 'clip' (CLIPModel) can be exported")
    vision, text = _section(config, "vision_config", source), _section(config, "text_config", source)
    acts = [tower.get("hidden_act", "quick_gelu") for tower in (vision, text)]
    if acts[0] != acts[1] or acts[0] not in _ACTIVATIONS:
        raise UserError(f"{source}: hidden_act is {acts[0]!r} and {acts[1]!r}; both towers must have gelu, or both quick_gelu")
    if text.get("eos_token_id", _END_TOKENS[1]) not in _END_TOKENS:
        raise UserError(f"{source}: text_config.eos_token_id is {text['eos_token_id']}; CLIP's tokenizer ends a text with {_END_TOKENS[1]}")
    image_size = vision.get("image_size", 224)
    model = {
        "embed_dim": config.get("projection_dim", 512),
        "quick_gelu": _ACTIVATIONS[acts[0]],
        "vision_cfg": _vision(vision, image_size),
        "text_cfg": _text(text),
    }
    return Architecture(name, model, from_hugging_face(preprocessor, image_size, f"{source} ({PREPROCESSOR})"))


def _section(config: Mapping[str, object], key: str, source: str) -> Mapping[str, object]:
    section = config.get(key)
    if not isinstance(section, Mapping):
        raise UserError(f"{source}: no {key} in it; the config.json of a CLIPModel is expected")
    return section


def _vision(config: Mapping[str, object], image_size: object) -> dict[str, object]:
    width = config.get("hidden_size", 768)
    return {
        "image_size": image_size,
        "patch_size": config.get("patch_size", 32),
        "width": width,
        "layers": config.get("num_hidden_layers", 12),
        "head_width": width // config.get("num_attention_heads", 12),
        "mlp_ratio": config.get("intermediate_size", 3072) / width,
        **_epsilon(config),
    }


def _text(config: Mapping[str, object]) -> dict[str, object]:
    width = config.get("hidden_size", 512)
    return {
        "context_length": config.get("max_position_embeddings", 77),
        "vocab_size": config.get("vocab_size", 49408),
        "width": width,
        "layers": config.get("num_hidden_layers", 12),
        "heads": config.get("num_attention_heads", 8),
        "mlp_ratio": config.get("intermediate_size", 2048) / width,
        **_epsilon(config),
    }


def _epsilon(config: Mapping[str, object]) -> dict[str, object]:
    epsilon = config.get("layer_norm_eps", 1e-5)
    return {} if epsilon == 1e-5 else {"norm_kwargs": {"eps": epsilon}}


def _block_name(name: str, source: str) -> str:
    """Returns open_clip's name of a tensor of a block. Those of q, k and v keep their letter until they are joined."""
    match = _LAYER.fullmatch(name)
    module, _, kind = match[3].rpartition(".") if match else ("", "", "")
    if module in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
        target = f"attn.{module[10]}.in_proj_{kind}"
    elif module in _BLOCK:
        target = f"{_BLOCK[module]}.{kind}"
    else:
        raise UserError(f"{source}: the tensor {name} belongs to no CLIPModel of Hugging Face; only plain CLIP can be exported")
    return f"{_TOWERS[match[1]]}transformer.resblocks.{match[2]}.{target}"


def _joined(tensors: Mapping[str, torch.Tensor], source: str) -> dict[str, torch.Tensor]:
    """Joins the projections of query, key and value, which open_clip stores as one tensor."""
    found = {}
    for name, value in tensors.items():
        if ".attn.q.in_proj_" in name:
            thirds = [name.replace(".attn.q.", f".attn.{letter}.") for letter in "qkv"]
            if missing := [third for third in thirds if third not in tensors]:
                raise UserError(f"{source}: query without key or value: {', '.join(missing)} missing")
            found[name.replace(".attn.q.", ".attn.")] = torch.cat([tensors[third] for third in thirds])
        elif ".attn.k.in_proj_" not in name and ".attn.v.in_proj_" not in name:
            found[name] = value
    return found
