"""The card on a small rendered data set: its tables, its intervals, and that it continues after an interruption."""

import json

import numpy as np
import pytest
import torch

from bridgeclip_models.architecture import build_model, load_architecture
from bridgeclip_models.captions import categories
from bridgeclip_models.card import embeddings
from bridgeclip_models.card.published import load_published
from bridgeclip_models.card.rows import read_rows
from bridgeclip_models.cli import main
from bridgeclip_models.errors import UserError
from bridgeclip_models.heads import find_heads
from bridgeclip_models.render import generate

TRAIN, VAL = 150, 40


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Renders photos, and makes a fine-tuned and a base model with random weights."""
    folder = tmp_path_factory.mktemp("card")
    generate(folder, TRAIN, 1, "train", 2)
    generate(folder, VAL, 1, "val", 2)
    tower = {"width": 16, "layers": 1}
    config = {
        "embed_dim": 16, "vision_cfg": {"image_size": 32, "patch_size": 16, "head_width": 8} | tower,
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "heads": 2} | tower,
    }  # fmt: skip
    (folder / "tiny.json").write_text(json.dumps(config))
    for seed, name in enumerate(("base", "tuned")):
        torch.manual_seed(seed)
        torch.save(build_model(load_architecture(str(folder / "tiny.json"))).state_dict(), folder / f"{name}.pt")
    return folder


def card(data, out, *options):
    words = ["card", "--train", data / "train.csv", "--val", data / "val.csv", "--checkpoint", data / "tuned.pt", "--out", out]
    words += ["--architecture", data / "tiny.json", "--device", "cpu", "--sizes", "50", "100", "10k", "all"]
    return main([*map(str, words), *map(str, options)])


@pytest.fixture(scope="module")
def made(data):
    run = data / "runs" / "50"
    run.mkdir(parents=True)
    torch.save(torch.load(data / "base.pt"), run / "epoch_1.pt")
    out = data / "made"
    assert card(data, out, "--base", data / "base.pt", "--runs", data / "runs", "--head-epochs", "2", "--published", "ja") == 0
    return out


def test_every_table_is_there(made):
    text, found = (made / "card.md").read_text(), json.loads((made / "card.json").read_text())
    titles = ("Classification (macro-F1)", "Feature spaces", "Retrieval (Recall@k)", "Attribute-based retrieval", "Data scaling", "Captions")
    assert all(f"## {title}" in text for title in titles)
    assert found["setup"]["validation_rows"] == VAL and found["setup"]["reference_rows"] == TRAIN
    for method in ("knn", "linear", "base_knn", "base_linear"):
        assert all(f"classification.{method}.{name}" in found["figures"] for name in (*categories(), "mean"))
        assert all(0 <= found["details"][method][name]["mAP"] <= 1 for name in categories())
    assert {"scaling.50.text_to_image.R@10", "scaling.0.knn.mean", "reference.100.mean"} <= set(found["figures"])
    assert not any(".10000." in key or ".100.text" in key for key in found["figures"])
    assert any("subsets of 10k" in note for note in found["notes"]) and any("No run on 100" in note for note in found["notes"])


def test_figures_have_intervals_and_distances(made):
    found = json.loads((made / "card.json").read_text())
    for key, figure in found["figures"].items():
        if "gain" not in key:
            assert 0 <= figure["low"] <= figure["high"] <= 1, key
        if "worst" in figure:
            assert figure["worst"] <= figure["value"] <= figure["best"], key
    published = load_published("ja").figures
    assert found["published_but_not_measured"] == []
    for key, value in published.items():
        assert found["figures"][key]["difference"] == pytest.approx(found["figures"][key]["value"] - value)
        assert f"| `{key}` |" in (made / "card.md").read_text()


def test_heads_are_those_that_the_converter_takes(made):
    heads = find_heads(torch.load(made / "linear_heads.pt"))
    assert {name: tuple(head.weight.shape) for name, head in heads.items()} == {c.id: (len(c.classes), 16) for c in categories().values()}


def test_second_measurement_computes_nothing_and_says_the_same(data, made, monkeypatch):
    monkeypatch.setattr(embeddings.Encoder, "images", lambda *_, **__: pytest.fail("a photo was embedded again"))
    before = (made / "card.json").read_bytes()
    assert card(data, made, "--base", data / "base.pt", "--runs", data / "runs", "--head-epochs", "2", "--published", "ja") == 0
    assert (made / "card.json").read_bytes() == before


def test_interrupted_measurement_continues_with_the_same_result(data, made, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "_BLOCK", 32)
    original, calls = embeddings.Encoder.images, 0

    def stop_later(self, pixels, *, normalize):
        nonlocal calls
        calls += 1
        if calls in (3, 12):
            raise KeyboardInterrupt
        return original(self, pixels, normalize=normalize)

    monkeypatch.setattr(embeddings.Encoder, "images", stop_later)
    options = ["--base", data / "base.pt", "--runs", data / "runs", "--head-epochs", "2", "--published", "ja"]
    assert card(data, tmp_path, *options) == 130
    assert not (tmp_path / "card.json").exists()
    assert card(data, tmp_path, *options) == 130
    assert card(data, tmp_path, *options) == 0
    found, expected = (json.loads((folder / "card.json").read_text())["figures"] for folder in (tmp_path, made))
    assert found.keys() == expected.keys()
    assert all(found[key]["value"] == pytest.approx(expected[key]["value"], abs=1e-6) for key in found)
    assert not list((tmp_path / "work").glob("*.blocks"))


def test_changed_photo_or_checkpoint_is_measured_anew(data, tmp_path, monkeypatch):
    assert card(data, tmp_path, "--no-heads") == 0
    torch.save(torch.load(data / "base.pt"), data / "other.pt")
    seen = []
    original = embeddings.Encoder.images
    monkeypatch.setattr(embeddings.Encoder, "images", lambda self, pixels, **o: seen.append(len(pixels)) or original(self, pixels, **o))
    assert card(data, tmp_path, "--no-heads", "--checkpoint", data / "other.pt") == 0
    assert sum(seen) == TRAIN + VAL


def test_without_a_base_its_columns_are_empty(data, tmp_path):
    assert card(data, tmp_path, "--no-heads") == 0
    text = (tmp_path / "card.md").read_text()
    assert "No base model was given" in text and "| Soundness | – |" in text and "No runs on subsets were given" in text


def test_too_few_rows_for_the_heads_are_told(data, tmp_path, capsys):
    lines = (data / "train.csv").read_text().splitlines(keepends=True)
    (data / "few.csv").write_text("".join(lines[:21]))
    assert card(data, tmp_path, "--train", data / "few.csv") == 1
    assert "20 training and 40 validation rows" in capsys.readouterr().err


def test_unreadable_photo_is_named(data, tmp_path, capsys):
    (data / "bad.csv").write_text((data / "val.csv").read_text().replace("val/0000", "val/none0000"))
    assert card(data, tmp_path, "--val", data / "bad.csv", "--no-heads") == 1
    assert f"{data / 'bad.csv'}, line 2: cannot read the image" in capsys.readouterr().err


HEAD = "image,text,kenzenudo,taisaku,damage_type,damage_loc"


def test_labels_are_read_in_both_languages(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(
        f"{HEAD},kenzenudo_valid\na.jpg,,Ⅲ,C1,ひびわれ|うき,主桁,True\nb.jpg,x,III,C1,cracking|delamination,main girder,False\nc.jpg,x,,,,,0\n"
    )
    rows = read_rows(path, None)
    assert all(rows.labels[name][0] == rows.labels[name][1] and rows.labels[name][2] == () for name in categories())
    assert rows.valid.tolist() == [True, False, False]
    assert np.flatnonzero(rows.truth("damage_type")[0]).tolist() == [0, 3]


@pytest.mark.parametrize(("row", "what"), [("a.jpg,x,V,C1,,", "'V' is no class of soundness"), (",x,I,C1,,", "the image is empty")])
def test_rows_that_cannot_be_used_name_their_line(tmp_path, row, what):
    (tmp_path / "rows.csv").write_text(f"{HEAD}\n{row}\n")
    with pytest.raises(UserError, match=f"line 2: {what}"):
        read_rows(tmp_path / "rows.csv", None)


def test_own_published_figures_and_wrong_ones(data, tmp_path, capsys):
    path = tmp_path / "figures.json"
    path.write_text(json.dumps({"name": "ours", "source": "last year", "figures": {"classification.knn.mean": 0.5}}))
    assert card(data, tmp_path, "--no-heads", "--published", path) == 0
    assert "ours (last year)" in (tmp_path / "card.md").read_text()
    for content, what in (("{}", "name, source and figures"), ('{"name":"a","source":"b","figures":{"x":"y"}}', "x is 'y'"), ("[", "JSON")):
        path.write_text(content)
        assert card(data, tmp_path, "--published", path) == 1
        assert what in capsys.readouterr().err
    assert card(data, tmp_path, "--published", tmp_path / "none.json") == 1
    assert "no such file of published figures" in capsys.readouterr().err
