"""Linear heads: whatever the names of the tensors, the bytes are those that the device program reads."""

import struct

import numpy as np
import pytest
import torch

from bridgeclip_models.captions import categories
from bridgeclip_models.cli import main
from bridgeclip_models.errors import UserError
from bridgeclip_models.head_goldens import seeded_heads
from bridgeclip_models.heads import heads_bytes

DIM = 6


@pytest.fixture
def state():
    return seeded_heads(DIM).state_dict()


def renamed(state, rule):
    return {rule(name): value for name, value in state.items()}


def test_layout(state):
    content = heads_bytes(state, 2e-7)
    magic, dim, epsilon, *classes = struct.unpack_from("<8sIf4I", content)
    assert (magic, dim, classes) == (b"BCHEADS1", DIM, [4, 9, 15, 20])
    assert epsilon == pytest.approx(2e-7)
    values = np.frombuffer(content, "<f4", offset=struct.calcsize("<8sIf4I"))
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


def test_command(state, tmp_path, capsys):
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "heads.pt")
    out = tmp_path / "heads.bin"
    assert main(["heads", str(tmp_path / "heads.pt"), "--out", str(out)]) == 0
    assert out.read_bytes() == heads_bytes(state)
    assert main(["heads", str(tmp_path / "heads.pt"), "--out", str(out), "--epsilon", "0"]) == 1
    assert "epsilon" in capsys.readouterr().err
