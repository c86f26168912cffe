"""Files and weights that are no open_clip ViT are refused by their name, without a traceback."""

import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bridgeclip_models.cli import main
from bridgeclip_models.errors import UserError
from bridgeclip_models.model_source import load_checkpoint


def refused(path, tiny, **options):
    with pytest.raises(UserError) as error:
        load_checkpoint(str(path), tiny, **options)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("model.pt", b"", "empty file"),
        ("model.gguf", b"GGUF\x03\x00", "GGUF"),
        ("model.pt", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        ("model.h5", b"\x89HDF\r\n\x1a\n", "HDF5"),
        ("model.pt", b"<!DOCTYPE html><html>", "web page"),
        ("model.pt", b"\x1f\x8b\x08\x00", "gzip"),
        ("model.tflite", b"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"),
        ("model.bin", b"\x08\x08\x12\x07pytorch", "ONNX"),
        ("model.msgpack", b"\x81\xa6", "Flax"),
        ("heads.bin", b"BCHEADS1", "linear heads"),
        ("model.pt", b"PK\x03\x04 cut short", "cut short"),
        ("model.safetensors", b"\xff\x00\x00\x00\x00\x00\x00\x00{}", "safetensors"),
        ("model.pt", b"not a checkpoint", "not a PyTorch checkpoint, or damaged|holds more than tensors, or is damaged"),
    ],
)
def test_foreign_file_is_named(tmp_path, tiny, name, content, what):
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path / name, tiny)
    assert any(part in message for part in what.split("|")), message


def test_safetensors_header_is_no_foreign_magic(tmp_path, tiny, weights):
    """The first bytes of safetensors count its header, and can be those of gzip or ONNX."""
    header_bytes = {}
    for length in (0x8B1F, 0x1208):
        path = tmp_path / f"{length}.safetensors"
        save_file(weights, path, metadata={"x": ""})
        header = int.from_bytes(path.read_bytes()[:8], "little")
        save_file(weights, path, metadata={"x": " " * (length - header)})
        header_bytes[length] = int.from_bytes(path.read_bytes()[:8], "little")
        assert load_checkpoint(str(path), tiny).state_dict.keys() == weights.keys()
    assert all(abs(found - length) < 8 for length, found in header_bytes.items())


def test_archives_without_a_checkpoint_are_named(tmp_path, tiny):
    np.savez(tmp_path / "model.npz", a=np.zeros(2))
    assert "NumPy archive" in refused(tmp_path / "model.npz", tiny)
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    assert "zip archive without a PyTorch checkpoint" in refused(tmp_path / "model.zip", tiny)


def test_torchscript_is_named_and_read_if_trusted(tmp_path, tiny):
    class Visual(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.weight

    path = tmp_path / "ViT-B-32.pt"
    torch.jit.save(torch.jit.script(Visual()), path)
    assert "TorchScript archive" in refused(path, tiny)
    assert "missing" in refused(path, tiny, trust_pickle=True)


class Whole(torch.nn.Module):
    """A model that is pickled whole."""

    def __init__(self, weights):
        super().__init__()
        self.clip = torch.nn.Module()
        self.weights = weights

    def state_dict(self, *args, **kwargs):
        return self.weights


def test_pickled_module_is_named_and_read_if_trusted(tmp_path, tiny, weights):
    torch.save(Whole(weights), tmp_path / "model.pt")
    message = refused(tmp_path / "model.pt", tiny)
    assert "pickled Python object" in message and "Whole" in message and "--trust-pickle" in message
    assert load_checkpoint(str(tmp_path / "model.pt"), tiny, trust_pickle=True).state_dict.keys() == weights.keys()


@pytest.mark.parametrize(
    ("tensor", "what"),
    [
        ("visual.layer1.0.conv1.weight", "ResNet CLIP"),
        ("visual.trunk.blocks.0.norm1.weight", "timm image tower"),
        ("visual.blocks.0.attn.q_bias", "EVA"),
        ("text_decoder.ln_final.weight", "CoCa"),
        ("vision_model.head.probe", "SigLIP"),
        ("text.transformer.embeddings.word_embeddings.weight", "Hugging Face text tower"),
        ("visual.proj.lora_A.default.weight", "LoRA"),
        ("blocks.0.attn.qkv.weight", "image model without a text encoder"),
        ("model.layers.0.mlp.up_proj.weight", "language model"),
        ("heads.kenzenudo.2.weight", "linear heads"),
        ("something.else", "2 unexpected: other, something.else"),
    ],
)
def test_weights_of_another_kind_of_model_are_named(tmp_path, tiny, tensor, what):
    torch.save({tensor: torch.zeros(2), "other": torch.zeros(1)}, tmp_path / "model.pt")
    assert what in refused(tmp_path / "model.pt", tiny)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_name_file_and_tensor(tmp_path, config_file, weights, value, capsys):
    weights["visual.proj"][0, :3] = value
    torch.save({"state_dict": weights}, tmp_path / "epoch_7.pt")
    assert main(["export", str(tmp_path / "epoch_7.pt"), "--architecture", str(config_file), "--out", str(tmp_path / "package")]) == 1
    message = capsys.readouterr().err
    assert f"{tmp_path / 'epoch_7.pt'}: NaN or infinite values in 1 tensors: visual.proj (3 of 256)" in message
    assert not (tmp_path / "package").exists()


def test_weights_beyond_float16_are_named(tmp_path, config_file, weights, capsys):
    weights["visual.proj"][0, 0] = 1e6
    torch.save(weights, tmp_path / "epoch_7.pt")
    options = ["--architecture", str(config_file), "--out", str(tmp_path / "package"), "--store", "f16"]
    assert main(["export", str(tmp_path / "epoch_7.pt"), *options]) == 1
    assert "visual.proj: holds values that do not fit float16" in capsys.readouterr().err


def test_quantised_weights_are_refused(tmp_path, tiny, weights):
    weights["visual.proj"] = weights["visual.proj"].to(torch.int8)
    torch.save(weights, tmp_path / "model.pt")
    assert "visual.proj is torch.int8" in refused(tmp_path / "model.pt", tiny)


def test_weights_of_openai_need_quick_gelu(tmp_path, tiny, weights):
    torch.save(weights | {name: torch.tensor(1) for name in ("input_resolution", "context_length", "vocab_size")}, tmp_path / "model.pt")
    assert "QuickGELU" in refused(tmp_path / "model.pt", tiny)
