"""Folders that describe themselves, prefixes of tensors, and the way photos are prepared."""

import json
import tomllib

import numpy as np
import onnx
import open_clip
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors.torch import save_file

from bridgeclip_models.architecture import build_model, load_architecture
from bridgeclip_models.cli import main
from bridgeclip_models.errors import UserError
from bridgeclip_models.model_source import OPEN_CLIP_CONFIG, load_checkpoint, load_model, open_clip_config
from bridgeclip_models.preprocessing import MEAN, STD, Preprocessing, from_hugging_face, from_open_clip

HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.25, 0.125]}


def same(found, weights):
    return found.keys() == weights.keys() and all(torch.equal(found[name], value) for name, value in weights.items())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "module.clip.", "open_clip."])
@pytest.mark.parametrize("key", [None, "state_dict", "model", "module"])
def test_prefixes_and_containers_are_taken_off(tmp_path, tiny, weights, prefix, key):
    tensors = {prefix + name: value for name, value in weights.items()}
    torch.save({key: tensors, "epoch": 3} if key else tensors, tmp_path / "epoch_3.pt")
    assert same(load_checkpoint(str(tmp_path / "epoch_3.pt"), tiny).state_dict, weights)


def test_compiled_parts_are_unwrapped(tmp_path, tiny, weights):
    renamed = {name.replace("visual.", "visual._orig_mod.", 1): value for name, value in weights.items()}
    torch.save(renamed, tmp_path / "epoch_3.pt")
    assert same(load_checkpoint(str(tmp_path / "epoch_3.pt"), tiny).state_dict, weights)
    torch.save(renamed | {"visual.proj": weights["visual.proj"]}, tmp_path / "epoch_3.pt")
    with pytest.raises(UserError, match="two tensors have the same name"):
        load_checkpoint(str(tmp_path / "epoch_3.pt"), tiny)


@pytest.fixture
def hub(tmp_path, tiny, weights):
    """A folder as a hub has it, whose photos are normalised with other statistics than CLIP's."""
    folder = tmp_path / "hub-model"
    folder.mkdir()
    config = {"model_cfg": tiny.config, "preprocess_cfg": HALF | {"size": 32, "mode": "RGB", "interpolation": "bicubic", "resize_mode": "shortest"}}
    (folder / OPEN_CLIP_CONFIG).write_text(json.dumps(config))
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder


def embedding(package, pixels):
    manifest = tomllib.loads((package / "package.toml").read_text())["image"]
    mean, std = (np.array(manifest[key], np.float32).reshape(1, 3, 1, 1) for key in ("mean", "std"))
    graph = ReferenceEvaluator(onnx.load(package / "image.onnx"))
    return graph.run(None, {"image": (pixels / np.float32(255) - mean) / std})[0]


def test_hub_folder_describes_itself_and_its_statistics_reach_the_package(hub, tmp_path, tiny, weights):
    package = tmp_path / "package"
    assert main(["export", str(hub), "--out", str(package)]) == 0
    manifest = tomllib.loads((package / "package.toml").read_text())
    assert manifest["architecture"] == "hub-model" and manifest["checkpoint"]["file"] == "open_clip_model.safetensors"
    assert manifest["image"] == HALF | {"size": 32, "apply_orientation": False}
    # The photo as open_clip prepares and embeds it, against the graph fed with what the manifest says.
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32)).astype(np.float32)
    model = build_model(tiny).eval()
    model.load_state_dict(weights)
    transform = open_clip.image_transform(32, is_train=False, **{key: tuple(value) for key, value in HALF.items()})
    prepared = transform.transforms[-1](torch.from_numpy(pixels) / 255)
    expected = model.encode_image(prepared).detach().numpy()
    found = embedding(package, pixels)
    assert np.abs(found - expected).max() < 1e-5
    cosine = (found * expected).sum() / np.linalg.norm(found) / np.linalg.norm(expected)
    assert cosine > 0.999999


def test_config_given_as_architecture_says_the_same(hub, tmp_path, weights):
    torch.save(weights, tmp_path / "epoch_1.pt")
    package = tmp_path / "package"
    assert main(["export", str(tmp_path / "epoch_1.pt"), "--architecture", str(hub / OPEN_CLIP_CONFIG), "--out", str(package)]) == 0
    assert tomllib.loads((package / "package.toml").read_text())["image"]["mean"] == HALF["mean"]


def test_architecture_that_disagrees_with_the_folder_is_refused(hub, tiny, config_file):
    assert load_model(str(hub), load_architecture(str(config_file)))[1].preprocessing == Preprocessing((0.5,) * 3, (0.5, 0.25, 0.125))
    with pytest.raises(UserError, match=r"disagrees with ViT-B-32 .*embed_dim is 16 instead of 512"):
        load_model(str(hub), load_architecture("ViT-B-32"))
    with pytest.raises(UserError, match="trained with other statistics"):
        load_checkpoint(str(hub), tiny)


def test_run_of_such_a_model_keeps_its_statistics(hub, tmp_path, pairs_csv):
    run, package = tmp_path / "run", tmp_path / "package"
    words = ["finetune", "--train", pairs_csv, "--val", pairs_csv, "--architecture", hub / OPEN_CLIP_CONFIG, "--pretrained", hub, "--out", run]
    assert main([*map(str, words), "--epochs", "1", "--batch-size", "8", "--device", "cpu", "--precision", "f32"]) == 0
    assert main(["export", str(run / "epoch_1.pt"), "--out", str(package)]) == 0
    assert tomllib.loads((package / "package.toml").read_text())["image"]["std"] == HALF["std"]


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"interpolation": "bilinear"}, "interpolation is 'bilinear'"),
        ({"resize_mode": "squash"}, "resize_mode is 'squash'"),
        ({"resize_mode": "longest"}, "resize_mode is 'longest'"),
        ({"mode": "L"}, "mode is 'L'"),
        ({"size": 64}, "size is 64"),
        ({"size": [32, 48]}, "size is [32, 48]"),
        ({"mean": [0.5, 0.5]}, "mean is [0.5, 0.5]"),
        ({"std": [0.5, 0.5, 0]}, "std is [0.5, 0.5, 0.0]"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean is [0.5, 0.5, nan]"),
        ({"mean": "half"}, "mean is half"),
        ({"crop_pct": 0.9}, "crop_pct is 0.9"),
    ],
)
def test_preparation_that_the_device_cannot_do_is_refused(settings, what):
    with pytest.raises(UserError) as error:
        from_open_clip(settings, 32, "open_clip_config.json")
    assert what in str(error.value)


def test_defaults_and_single_numbers():
    assert from_open_clip({"size": [32, 32]}, 32, "x") == Preprocessing(MEAN, STD)
    assert from_open_clip({"mean": 0.5, "std": 0.5}, 32, "x") == Preprocessing((0.5,) * 3, (0.5,) * 3)
    clip = {"crop_size": {"height": 32, "width": 32}, "size": {"shortest_edge": 32}, "resample": 3, "rescale_factor": 0.00392156862745098}
    assert from_hugging_face(clip | {"image_mean": [0.5] * 3}, 32, "x") == Preprocessing((0.5,) * 3, STD)
    assert from_hugging_face({"size": 32, "crop_size": 32}, 32, "x") == Preprocessing()


@pytest.mark.parametrize("change", [{"resample": 2}, {"do_center_crop": False}, {"size": {"height": 32, "width": 32}}, {"crop_size": 24}, {"rescale_factor": 1}])
def test_other_preprocessors_of_hugging_face_are_refused(change):
    with pytest.raises(UserError, match=next(iter(change))):
        from_hugging_face(change, 32, "preprocessor_config.json")


def test_folders_without_a_clear_choice_are_refused(tmp_path, tiny, weights):
    torch.save(weights, tmp_path / "a.pt")
    assert same(load_checkpoint(str(tmp_path), tiny).state_dict, weights)
    torch.save(weights, tmp_path / "b.pt")
    with pytest.raises(UserError, match=r"2 checkpoints and no results.jsonl .* a.pt, b.pt"):
        load_checkpoint(str(tmp_path), tiny)
    with pytest.raises(UserError, match="give it with --architecture"):
        load_model(str(tmp_path / "a.pt"), None)
    with pytest.raises(UserError, match="neither a file nor a folder"):
        load_model("laion2b_s34b_b79k", None)


def test_sharded_and_adapter_folders_are_named(tmp_path, tiny):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match="LoRA"):
        load_checkpoint(str(tmp_path), tiny)
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(UserError, match="several files"):
        load_checkpoint(str(tmp_path), tiny)


def test_open_clip_itself_reads_the_config(hub, tiny):
    from bridgeclip_models.architecture import from_config

    found = from_config(open_clip_config(load_model(str(hub), None)[1]), "x", "x")
    assert found.stated == Preprocessing((0.5,) * 3, (0.5, 0.25, 0.125)) and found.config == tiny.config


@pytest.mark.parametrize(
    ("tower", "options", "what"),
    [
        ("text_cfg", {"context_length": 64}, "text_cfg.context_length=64"),
        ("text_cfg", {"pool_type": "eos"}, "text_cfg.eos_id=2"),
        ("text_cfg", {"pool_type": "none"}, "text_cfg.pool_type=none"),
        ("text_cfg", {"tokenizer_mode": "clips"}, "text_cfg.tokenizer_mode"),
        ("text_cfg", {"norm_kwargs": {"elementwise_affine": False}}, "text_cfg.norm_kwargs"),
        ("vision_cfg", {"output_tokens": True}, "vision_cfg.output_tokens"),
        ("vision_cfg", {"image_size": 8192}, "vision_cfg.image_size=8192"),
    ],
)
def test_options_that_the_device_cannot_run_are_refused_at_export(tmp_path, tiny, weights, tower, options, what, capsys):
    config = tiny.config | {tower: tiny.config[tower] | options}
    (tmp_path / "config.json").write_text(json.dumps(config))
    torch.manual_seed(1)
    try:
        tensors = build_model(load_architecture(str(tmp_path / "config.json"))).state_dict()
    except (UserError, AttributeError):
        tensors = weights
    torch.save({name: value for name, value in tensors.items() if value.numel() < 10**7}, tmp_path / "model.pt")
    assert main(["export", str(tmp_path / "model.pt"), "--architecture", str(tmp_path / "config.json"), "--out", str(tmp_path / "package")]) == 1
    assert what in capsys.readouterr().err
