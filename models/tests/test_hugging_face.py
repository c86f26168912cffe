"""CLIPModels of Hugging Face's transformers give the embeddings that transformers computes (hugging_face_golden.py)."""

import json

import open_clip
import pytest
import torch
from hugging_face_golden import GOLDEN, TEXTS, seeded_pixels, seeded_tensor
from safetensors.torch import save_file

from bridgeclip_models.architecture import build_model, load_architecture
from bridgeclip_models.cli import main
from bridgeclip_models.errors import UserError
from bridgeclip_models.model_source import load_model

CASES = json.loads(GOLDEN.read_text(encoding="utf-8"))


def folder_of(case, path, **changes):
    path.mkdir()
    (path / "config.json").write_text(json.dumps(case["config"] | changes))
    save_file({name: seeded_tensor(name, shape) for name, shape in case["shapes"].items()}, path / "model.safetensors")
    return path


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["config"]["text_config"]["hidden_act"])
def test_embeddings_are_those_of_transformers(tmp_path, case):
    checkpoint, architecture = load_model(str(folder_of(case, tmp_path / "clip")), None)
    model = build_model(architecture).eval()
    model.load_state_dict(checkpoint.state_dict)
    with torch.inference_mode():
        images, texts = model.encode_image(seeded_pixels()), model.encode_text(open_clip.get_tokenizer("ViT-B-32")(list(TEXTS)))
    assert torch.allclose(images, torch.tensor(case["images"]), atol=1e-5)
    assert torch.allclose(texts, torch.tensor(case["texts"]), atol=1e-5)
    assert images.std() > 0.1, "the embeddings depend on the input"


def test_folder_is_exported_with_its_preprocessor(tmp_path):
    folder = folder_of(CASES[0], tmp_path / "clip")
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "size": {"shortest_edge": 32}, "crop_size": 32}))
    assert main(["export", str(folder), "--out", str(tmp_path / "package")]) == 0
    assert "mean = [0.5, 0.5, 0.5]" in (tmp_path / "package" / "package.toml").read_text()


def test_old_file_with_position_numbers_is_read(tmp_path):
    folder = folder_of(CASES[0], tmp_path / "clip")
    tensors = {name: seeded_tensor(name, shape) for name, shape in CASES[0]["shapes"].items()}
    (folder / "model.safetensors").unlink()
    torch.save(tensors | {"text_model.embeddings.position_ids": torch.arange(77)}, folder / "pytorch_model.bin")
    assert load_model(str(folder), None)[0].file == "pytorch_model.bin"


def test_what_is_missing_or_foreign_is_named(tmp_path):
    folder = folder_of(CASES[0], tmp_path / "clip")
    with pytest.raises(UserError, match="disagrees with ViT-B-32 .*quick_gelu is True instead of False"):
        load_model(str(folder), load_architecture("ViT-B-32"))
    (folder / "config.json").unlink()
    with pytest.raises(UserError, match="copy its config.json beside them"):
        load_model(str(folder), None)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"model_type": "siglip"}, "model_type is 'siglip'"),
        ({"text_config": CASES[0]["config"]["text_config"] | {"hidden_act": "gelu"}}, "'quick_gelu' and 'gelu'"),
        ({"text_config": CASES[0]["config"]["text_config"] | {"eos_token_id": 7}}, "eos_token_id is 7"),
        ({"vision_config": None}, "no vision_config"),
    ],
)
def test_other_configs_are_refused(tmp_path, changes, what):
    with pytest.raises(UserError, match=what):
        load_model(str(folder_of(CASES[0], tmp_path / "clip", **changes)), None)


def test_query_without_key_is_named(tmp_path):
    folder = folder_of(CASES[0], tmp_path / "clip")
    tensors = {name: seeded_tensor(name, shape) for name, shape in CASES[0]["shapes"].items() if "k_proj.bias" not in name}
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(UserError, match="query without key or value"):
        load_model(str(folder), None)
