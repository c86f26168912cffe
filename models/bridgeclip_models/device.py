"""Choice of the computing device and of the arithmetic of a training."""

import torch

from .errors import UserError

PRECISIONS = ("auto", "f32", "bf16", "f16")


def choose_device(name: str) -> torch.device:
    """Returns the device of this name. `auto` chooses the first GPU, or the CPU if there is none."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: no such kind of device; give auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {name}: {torch.cuda.device_count()} GPUs are usable here; give --device cpu, or check the driver")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Returns the type in which the model multiplies: float32, bfloat16, or float16, which needs loss scaling.

    `auto` chooses what open_clip's `--precision amp` is on a GPU, float16. On a CPU it chooses bfloat16 where the
    processor multiplies it natively; elsewhere it is emulated and slower than float32.
    """
    if name != "auto":
        return {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[name]
    if device.type == "cuda":
        return torch.float16
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # not public; if it is missing, float32 is safe
    return torch.bfloat16 if device.type == "cpu" and probe is not None and probe() else torch.float32
