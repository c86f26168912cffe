"""Choice of the computing device, and of bfloat16 where it pays."""

import torch

from .errors import UserError


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


def choose_bfloat16(precision: str, device: torch.device) -> bool:
    """Returns whether to compute in bfloat16.

    `auto` chooses it where the device multiplies it natively; elsewhere it is emulated and slower.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # not public; if it is missing, float32 is safe
    return device.type == "cpu" and probe is not None and probe()
