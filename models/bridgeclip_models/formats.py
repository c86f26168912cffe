"""Recognition of files and state dicts that are no open_clip ViT checkpoint, so that a refusal names what was found."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch

# The first bytes of a file -> what the file is, and what to do with it.
_MAGIC = (
    (b"", "an empty file; copy it again"),
    (b"GGUF", "a GGUF model of llama.cpp; give the PyTorch checkpoint that it was made from"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"),
    (b"\x89HDF\r\n", "an HDF5 file (Keras, TensorFlow); give a PyTorch checkpoint"),
    (b"<!DOCTYPE", "a web page, not a model; download the file itself"),
    (b"<!doctype", "a web page, not a model; download the file itself"),
    (b"<html", "a web page, not a model; download the file itself"),
    (b"\x1f\x8b", "a gzip archive; unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it"),
    (b"BCHEADS", "linear heads of the device program; give the encoder's checkpoint"),
)


def foreign_file(path: Path) -> str | None:
    """Returns what a file is if it is certainly no PyTorch or safetensors checkpoint, with what to do; else None."""
    with path.open("rb") as file:
        start = file.read(512)
    if start[8:9] == b"{":
        return None  # safetensors: eight bytes that count the header, then the header
    for magic, name in _MAGIC:
        if (start.startswith(magic) if magic else not start):
            return name
    if start[4:8] == b"TFL3":
        return "a TensorFlow Lite model; give a PyTorch checkpoint"
    if start[257:262] == b"ustar" or path.suffix in (".tar", ".tgz"):
        return "a tar archive; unpack it"
    if path.suffix == ".onnx" or (start[:1], start[2:3]) == (b"\x08", b"\x12"):  # the fields ir_version and producer_name
        return "an ONNX graph; give the PyTorch checkpoint that it was made from"
    if path.suffix == ".msgpack":
        return "a Flax checkpoint; give PyTorch weights"
    return _foreign_zip(path) if start.startswith(b"PK") else None


def is_torchscript(path: Path) -> bool:
    """Reports whether a file is a TorchScript archive, such as the ViT-B-32.pt of OpenAI."""
    return zipfile.is_zipfile(path) and any(name.split("/")[1:2] == ["code"] for name in zipfile.ZipFile(path).namelist())


def foreign_weights(names: Mapping[str, torch.Tensor]) -> str | None:
    """Returns what a state dict is if its tensors' names are those of another kind of model; else None."""
    for what, parts in _MODELS:
        if any(name.startswith(part) or (part.startswith(".") and part in name) for name in names for part in parts):
            return what
    return None


# What the tensors' names (starts, or parts that begin with a dot) say about the model. The first match counts.
_MODELS = (
    ("LoRA adapters without their base model; merge them into it first", (".lora_A", ".lora_B")),
    ("weights quantised by bitsandbytes; give the weights they were made from", (".quant_state", ".SCB", ".weight_format")),
    ("an OpenAI or open_clip ResNet CLIP; only a VisionTransformer can be exported", ("visual.layer1.", "visual.attnpool.")),
    ("CoCa, which has a third tower; only a plain CLIP can be exported", ("text_decoder.", "visual.attn_pool.")),
    ("a CLIP or SigLIP with a timm image tower; only open_clip's own VisionTransformer can be exported", ("visual.trunk.",)),
    ("a CLIP with an EVA image tower; only open_clip's own VisionTransformer can be exported", ("visual.blocks.", "visual.rope.")),
    ("Hugging Face's SigLIP; only CLIP can be exported", ("vision_model.head.", "text_model.head.")),
    ("a CLIP with a Hugging Face text tower; only CLIP's own text transformer can be exported", ("text.transformer.embeddings.", "text.transformer.encoder.")),
    ("Hugging Face's Chinese-CLIP or another two-tower model with BERT; only CLIP can be exported", ("text_model.encoder.layer.", "text_model.embeddings.word_embeddings.")),
    ("BLIP; only CLIP can be exported", ("qformer.", "text_encoder.bert.", "visual_encoder.")),
    ("an image model without a text encoder (timm or torchvision); a CLIP has both", ("blocks.0.", "layer1.0.", "features.0.", "encoder.layers.encoder_layer_0.")),
    ("a language model without an image encoder", ("model.layers.0.", "transformer.h.0.", "bert.")),
    ("linear heads; convert them with `bridgeclip-models heads`", ("heads.",)),
)


def _foreign_zip(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return "a damaged zip archive, or a checkpoint whose copy was cut short; copy it again"
    names = zipfile.ZipFile(path).namelist()
    if any(name.endswith(".npy") for name in names):
        return "a NumPy archive (.npz); give a PyTorch checkpoint"
    if not any(name.endswith(("data.pkl", "constants.pkl")) for name in names):
        return "a zip archive without a PyTorch checkpoint; unpack it"
    return None
