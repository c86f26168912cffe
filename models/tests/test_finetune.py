"""Training: its files, resuming, and the inputs it refuses."""

import json
import os
import signal
import threading
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from bridgeclip_models.checkpoint import best_checkpoint, read_file
from bridgeclip_models.cli import main
from bridgeclip_models.crop import random_crop, row_generator
from bridgeclip_models.pairs import Photos, normalised, read_pairs
from bridgeclip_models.preprocessing import MEAN, STD, Preprocessing
from bridgeclip_models.recipe import Recipe, contrastive_loss, learning_rate, optimizer_for, same_captions
from bridgeclip_models.run_folder import RunFolder, State
from bridgeclip_models.training import Trainer

EPOCHS = 3


def finetune(pairs_csv: Path, config_file: Path, out: Path, *options: str) -> int:
    fixed = ["--train", pairs_csv, "--val", pairs_csv, "--architecture", config_file, "--out", out, "--epochs", EPOCHS]
    recipe = ["--batch-size", 8, "--warmup", 2, "--lr", 1e-3, "--device", "cpu", "--precision", "f32"]
    return main(["finetune", *map(str, fixed + recipe), *options])


def final_weights(run: Path) -> dict[str, torch.Tensor]:
    return read_file(run / f"epoch_{EPOCHS}.pt")["state_dict"]


def test_writes_every_epoch_and_its_loss(pairs_csv, config_file, tmp_path):
    run = tmp_path / "run"
    assert finetune(pairs_csv, config_file, run) == 0
    lines = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3]
    assert lines[-1]["clip_val_loss"] < lines[0]["clip_val_loss"]
    assert {"epoch", "name", "state_dict", "optimizer"} <= read_file(run / "epoch_1.pt").keys()
    assert best_checkpoint(run).parent == run
    assert finetune(pairs_csv, config_file, run) == 1, "a finished run is not overwritten"


def test_resumed_run_ends_with_the_same_weights(pairs_csv, config_file, tmp_path, monkeypatch):
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    assert finetune(pairs_csv, config_file, straight) == 0
    original, steps = Trainer._step, 0

    def stop_in_the_second_epoch(self, *args):
        nonlocal steps
        steps += 1
        if steps == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, *args)

    monkeypatch.setattr(Trainer, "_step", stop_in_the_second_epoch)
    assert finetune(pairs_csv, config_file, stopped) == 130
    assert sorted(path.name for path in stopped.iterdir()) == ["epoch_1.pt", "open_clip_config.json", "results.jsonl", "stopped.pt"]
    assert finetune(pairs_csv, config_file, stopped, "--resume") == 0
    assert not (stopped / "stopped.pt").exists()
    assert (stopped / "results.jsonl").read_text() == (straight / "results.jsonl").read_text()
    resumed = final_weights(stopped)
    assert all(torch.equal(resumed[name], value) for name, value in final_weights(straight).items())


@pytest.mark.parametrize("options", [["--augment", "strong", "--cache"], ["--precision", "f16"], ["--precision", "bf16"]])
def test_other_augmentation_and_arithmetic_train_too(pairs_csv, config_file, tmp_path, options):
    run = tmp_path / "run"
    assert finetune(pairs_csv, config_file, run, *options) == 0
    losses = [json.loads(line)["clip_val_loss"] for line in (run / "results.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0]
    assert bool(read_file(run / "epoch_1.pt")["scaler"]) == ("f16" in options)


def test_cached_photos_cannot_have_the_published_crop(pairs_csv, config_file, tmp_path, capsys):
    assert finetune(pairs_csv, config_file, tmp_path / "run", "--cache") == 1
    assert "--augment none" in capsys.readouterr().err


def test_warm_up_beyond_the_training_is_told_and_allowed(pairs_csv, config_file, tmp_path, capsys):
    assert finetune(pairs_csv, config_file, tmp_path / "run", "--warmup", "1000") == 0
    assert "only rises, to 9.00e-06 instead of 1.00e-03" in capsys.readouterr().out


def test_rates_are_those_of_open_clip_even_in_a_short_training():
    from open_clip_train.scheduler import cosine_lr

    for warmup, steps in ((10, 110), (1000, 780), (780, 780)):
        recipe = Recipe(learning_rate=1e-4, warmup_steps=warmup)
        theirs = cosine_lr(torch.optim.SGD([torch.zeros(1)]), 1e-4, warmup, steps)
        assert [learning_rate(recipe, step, steps) for step in range(steps)] == pytest.approx([theirs(step) for step in range(steps)])


def test_crops_are_those_of_open_clip(pairs_csv, tmp_path):
    """With the same random numbers, pixel for pixel: photos of many shapes, too narrow ones, and other colour modes."""
    shapes = [(301, 203), (203, 301), (64, 64), (500, 40), (40, 500)]
    images = [Image.effect_mandelbrot(shape, (-2, -1.5, 1, 1.5), 50).convert("RGB") for shape in shapes]
    images += [images[0].convert("L"), images[0].convert("P"), images[0].convert("CMYK")]
    images[-1].getpixel((0, 0))
    theirs = open_clip.image_transform(32, is_train=True, mean=(0.0,) * 3, std=(1.0,) * 3)
    for seed, image in enumerate(images * 5):
        torch.manual_seed(seed)
        expected = (theirs(image) * 255).round().to(torch.uint8)
        found = random_crop(image, 32, torch.Generator().manual_seed(seed))
        assert torch.equal(torch.from_numpy(np.array(found)).permute(2, 0, 1), expected), (seed, image.mode, image.size)


def test_crops_of_an_epoch_repeat_and_those_of_the_next_differ(pairs_csv):
    photos = Photos(read_pairs(pairs_csv), 32, workers=2)
    batches = [torch.arange(3)]

    def pixels(epoch):
        return next(photos.batches(batches, lambda image, row: random_crop(image, 32, row_generator(0, epoch, row))))

    assert torch.equal(pixels(1), pixels(1)) and not torch.equal(pixels(1), pixels(2))


def test_subset_is_a_part_of_the_recipe(pairs_csv, config_file, tmp_path, capsys):
    assert finetune(pairs_csv, config_file, tmp_path / "run", "--subset", "16") == 0
    assert read_file(tmp_path / "run" / "epoch_1.pt")["step"] == 2
    assert finetune(pairs_csv, config_file, tmp_path / "run", "--subset", "8", "--resume") == 1
    assert "subset 16 -> 8" in capsys.readouterr().err


def test_resuming_with_another_recipe_is_refused(pairs_csv, config_file, tmp_path, capsys):
    assert finetune(pairs_csv, config_file, tmp_path / "run") == 0
    assert finetune(pairs_csv, config_file, tmp_path / "run", "--resume", "--weight-decay", "0.5") == 1
    assert "weight_decay 0.1 -> 0.5" in capsys.readouterr().err


@pytest.mark.parametrize("cache", [[], ["--cache", "--augment", "none"]])
def test_unreadable_photo_is_named_with_its_row(pairs_csv, config_file, tmp_path, capsys, cache):
    (tmp_path / "7.png").write_bytes(b"no picture")
    assert finetune(pairs_csv, config_file, tmp_path / "run", *cache) == 1
    message = capsys.readouterr().err
    assert f"{pairs_csv}, line 9: cannot read the image {tmp_path / '7.png'}" in message
    assert threading.active_count() == 1, "no decoding thread is left"


def test_photos_are_prepared_as_open_clip_does(pairs_csv, tmp_path):
    Image.effect_mandelbrot((301, 203), (-2, -1.5, 1, 1.5), 50).save(tmp_path / "0.png")
    pairs = read_pairs(pairs_csv)
    (pixels,) = Photos(pairs, 32, workers=1).batches([torch.arange(2)])
    transform = open_clip.image_transform(32, is_train=False, mean=MEAN, std=STD)
    expected = torch.stack([transform(Image.open(pair.image).convert("RGB")) for pair in pairs[:2]])
    assert torch.allclose(normalised(pixels, Preprocessing()), expected, atol=1e-6)


def test_image_root_replaces_the_directory(pairs_csv, tmp_path):
    pairs_csv.write_text("image,text\nelsewhere\\a/b.jpg,Cracking.\n")
    assert read_pairs(pairs_csv, tmp_path / "root")[0].image == tmp_path / "root" / "b.jpg"
    assert read_pairs(pairs_csv)[0].image == tmp_path / "elsewhere/a/b.jpg"


def test_defaults_are_the_published_recipe():
    recipe = Recipe()
    assert (recipe.epochs, recipe.batch_size, recipe.learning_rate, recipe.warmup_steps, recipe.weight_decay) == (10, 128, 1e-4, 1000, 0.1)
    assert (recipe.augment, recipe.subset, recipe.share_captions) == ("crop", 0, False)


def test_learning_rate_warms_up_and_falls_to_zero():
    recipe = Recipe(learning_rate=1.0, warmup_steps=10)
    rates = [learning_rate(recipe, step, 110) for step in range(111)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == pytest.approx(1)
    assert rates[60] == pytest.approx(0.5) and rates[110] == pytest.approx(0)


def test_only_matrices_are_decayed(tiny):
    from bridgeclip_models.architecture import build_model

    model = build_model(tiny)
    free, decayed = optimizer_for(model, Recipe()).param_groups
    assert free["weight_decay"] == 0 and decayed["weight_decay"] == 0.1
    assert all(parameter.ndim >= 2 for parameter in decayed["params"])
    assert len(free["params"]) + len(decayed["params"]) == len(list(model.parameters()))


def test_loss_equals_open_clip_unless_captions_are_shared():
    images, texts = (torch.nn.functional.normalize(torch.randn(6, 8), dim=-1) for _ in range(2))
    scale = torch.tensor(10.0)
    assert torch.allclose(contrastive_loss(images, texts, scale), open_clip.ClipLoss()(images, texts, scale))
    tokens = torch.tensor([[1], [2], [3], [4], [5], [6]])
    assert torch.allclose(contrastive_loss(images, texts, scale, same_captions(tokens)), contrastive_loss(images, texts, scale))
    tokens[1] = 1
    assert same_captions(tokens).sum() == 8


def test_state_of_another_program_is_not_resumed(tiny, weights, tmp_path):
    from bridgeclip_models.architecture import build_model
    from bridgeclip_models.errors import UserError

    torch.save({"epoch": 5, "state_dict": weights}, tmp_path / "epoch_5.pt")
    model = build_model(tiny)
    with pytest.raises(UserError, match="--pretrained"):
        RunFolder(tmp_path, "run", Recipe()).resume(State(model, optimizer_for(model, Recipe()), torch.amp.GradScaler("cpu")))
