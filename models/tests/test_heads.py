"""Linear heads: whatever the names of the tensors, the bytes are those that the device program reads."""

import struct

import numpy as np
import pytest
import torch

from bridgeclip_models.captions import categories
from bridgeclip_models.cli import main
from bridgeclip_models.errors import UserError
from bridgeclip_models.head_goldens import seeded_heads
from bridgeclip_models.heads import Preparation
from bridgeclip_models.heads import heads_bytes as prepared_bytes

DIM = 6
PREPARED = Preparation(256, 224)


def heads_bytes(state, epsilon=1e-7):
    return prepared_bytes(state, PREPARED, epsilon)


@pytest.fixture
def state():
    return seeded_heads(DIM).state_dict()


def renamed(state, rule):
    return {rule(name): value for name, value in state.items()}


def test_layout(state):
    content = heads_bytes(state, 2e-7)
    magic, dim, epsilon, *numbers = struct.unpack_from("<8sIf6I", content)
    assert (magic, dim, numbers) == (b"BCHEADS2", DIM, [4, 9, 15, 20, 256, 224])
    assert epsilon == pytest.approx(2e-7)
    values = np.frombuffer(content, "<f4", offset=struct.calcsize("<8sIf6I"))
    expected = [
        state[f"{category.column}.{part}"].flatten()
        for category in categories().values()
        for part in ("0.weight", "0.bias", "1.weight", "1.bias")
    ]
    assert np.array_equal(values, torch.cat(expected).numpy())


@pytest.mark.parametrize(
    "rule",
    [
        lambda name: name.replace(".0.", ".norm.").replace(".1.", ".fc."),
        lambda name: "heads." + name.replace("kenzenudo", "soundness").replace("damage_loc", "damage_location"),
        lambda name: name.replace("taisaku", "head_measure_1"),
    ],
)
def test_names_do_not_matter(state, rule):
    assert heads_bytes(renamed(state, rule)) == heads_bytes(state)
    backwards = dict(reversed(renamed(state, rule).items()))
    assert heads_bytes(backwards) == heads_bytes(state)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("taisaku.1.bias"), "measure needs one LayerNorm"),
        (lambda state: state.update({"damage_type.2.weight": torch.ones(DIM, DIM)}), "damage_type needs one LayerNorm"),
        (lambda state: state.update({"logit_scale": torch.ones(())}), "'logit_scale' names no category"),
        (lambda state: state.update({"kenzenudo.1.weight": torch.ones(5, DIM)}), "soundness has 5 classes; 4 are known"),
        (lambda state: state.update({"kenzenudo.0.bias": torch.ones(DIM + 1)}), "soundness needs one LayerNorm"),
        (lambda state: state.update({"kenzenudo.0.bias": torch.full((DIM,), torch.nan)}), "soundness holds values"),
    ],
)
def test_other_layouts_are_refused_by_name(state, change, message):
    state = dict(state)
    change(state)
    with pytest.raises(UserError, match=message):
        heads_bytes(state)


@pytest.mark.parametrize("sizes", [(223, 224), (0, 0), (5000, 224)])
def test_impossible_preparations_are_refused(sizes):
    with pytest.raises(UserError, match="short side"):
        Preparation(*sizes)


def test_command(state, tmp_path, capsys):
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "heads.pt")
    out = tmp_path / "heads.bin"
    words = ["heads", str(tmp_path / "heads.pt"), "--out", str(out)]
    assert main(words) == 1
    assert "--prepared" in capsys.readouterr().err
    assert main([*words, "--prepared", "256", "224"]) == 0
    assert out.read_bytes() == heads_bytes(state)
    assert main([*words, "--prepared", "256", "224", "--epsilon", "0"]) == 1
    assert "epsilon" in capsys.readouterr().err


def classifier(state):
    """Returns a checkpoint as the published training saves it: encoder, and heads with a dropout between their layers."""
    heads = {f"heads.{name.replace('.1.', '.2.')}": value for name, value in state.items()}
    encoder = {"visual.conv1.weight": torch.ones(8, 3, 32, 32), "visual.positional_embedding": torch.ones(50, 8)}
    return encoder | heads


def test_a_published_classifier_is_converted_with_its_preparation(state, tmp_path, capsys):
    torch.save(classifier(state), tmp_path / "best_model.pt")
    torch.save({"state_dict": {"module.visual.conv1.weight": torch.ones(8, 3, 32, 32), "logit_scale": torch.ones(())}}, tmp_path / "clip.pt")
    out = tmp_path / "heads.bin"
    words = ["heads", str(tmp_path / "best_model.pt"), "--out", str(out)]
    assert main(words) == 0
    assert out.read_bytes() == heads_bytes(state)
    assert "--checkpoint" in capsys.readouterr().err
    assert main([*words, "--checkpoint", str(tmp_path / "clip.pt")]) == 1
    assert "not that of" in capsys.readouterr().err
    encoder = {name: value for name, value in classifier(state).items() if name.startswith("visual.")}
    torch.save(encoder | {"logit_scale": torch.ones(())}, tmp_path / "clip.pt")
    assert main([*words, "--checkpoint", str(tmp_path / "clip.pt")]) == 0
    assert "--checkpoint" not in capsys.readouterr().err
    assert main([*words, "--prepared", "224", "224"]) == 0
    assert out.read_bytes() == prepared_bytes(state, Preparation(224, 224))
