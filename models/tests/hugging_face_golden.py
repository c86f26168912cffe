"""Makes hugging_face.json: embeddings of small seeded CLIPModels, computed by Hugging Face's transformers itself.

Run it in the folder `models`, with transformers installed beside the project's own requirements:
  python tests/hugging_face_golden.py
"""

import json
from pathlib import Path

import torch

from bridgeclip_models.seeded import Spread, seeded

GOLDEN = Path(__file__).with_name("hugging_face.json")
TEXTS = ("Cracking is observed in the main girder.", "Scour", " ".join(["crack"] * 100))


def seeded_tensor(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Returns a weight under transformers' name: norms about 1, everything else about 0."""
    norm = ("norm" in name or "layrnorm" in name) and name.endswith("weight")
    spread = Spread(1.0, 0.1) if norm else Spread(0.0, 0.5 if len(shape) > 1 else 0.05)
    return torch.from_numpy(seeded(name, tuple(shape), spread)).reshape(shape)


def seeded_pixels() -> torch.Tensor:
    """Returns normalised pixels [2, 3, 32, 32]."""
    return torch.from_numpy(seeded("pixels", (2, 3, 32, 32), Spread(0.0, 2.0)))


def small_config(activation: str, end_token: int) -> dict:
    """Returns the config.json of a CLIPModel whose sizes all differ, so that a mix-up shows."""
    tower = {"hidden_act": activation, "layer_norm_eps": 1e-6}
    vision = {"hidden_size": 12, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3, "image_size": 32, "patch_size": 16}
    text = {
        "hidden_size": 8, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2, "max_position_embeddings": 77,
        "vocab_size": 49408, "eos_token_id": end_token, "bos_token_id": 49406, "pad_token_id": 1,
    }  # fmt: skip
    return {"model_type": "clip", "projection_dim": 10, "vision_config": vision | tower, "text_config": text | tower}


def _case(activation: str, end_token: int) -> dict:
    import open_clip
    from transformers import CLIPConfig, CLIPModel

    config = small_config(activation, end_token)
    model = CLIPModel(CLIPConfig.from_dict(config)).eval()
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict({name: seeded_tensor(name, shape) for name, shape in shapes.items()})
    tokens = open_clip.get_tokenizer("ViT-B-32")(list(TEXTS))
    with torch.inference_mode():
        vision = model.visual_projection(model.vision_model(pixel_values=seeded_pixels()).pooler_output)
        text = model.text_projection(model.text_model(input_ids=tokens).pooler_output)
    return {"config": config, "shapes": shapes, "images": vision.tolist(), "texts": text.tolist()}


if __name__ == "__main__":
    cases = [_case("quick_gelu", 2), _case("gelu", 49407)]
    GOLDEN.write_text(json.dumps(cases, indent=1) + "\n", encoding="utf-8")
