"""Random changes of training photos that do not change what a caption says."""

import torch
import torch.nn.functional as F

AREA_MIN = 0.7  # of the crop, as a part of the photo
ASPECT_MAX = 4 / 3  # width to height of the crop, and its inverse
BRIGHTNESS = 0.2  # a factor of 1 - this .. 1 + this


def augmented(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random resized crop, mirroring and brightness; uint8 [batch, 3, size, size] in and out.

    The random numbers come from `generator` (on the CPU), so that a step can be repeated.
    """
    count = len(pixels)

    def uniform(low: float, high: float) -> torch.Tensor:
        return (low + (high - low) * torch.rand(count, generator=generator)).to(pixels.device)

    area, stretch = uniform(AREA_MIN, 1), uniform(-1, 1)
    aspect = torch.pow(torch.tensor(ASPECT_MAX, device=pixels.device), stretch)
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    mirror = torch.where(uniform(-1, 1) < 0, -1.0, 1.0)
    # Output coordinates -1..1 map to a window of the input: x' = width x + shift.
    window = torch.zeros(count, 2, 3, device=pixels.device)
    window[:, 0, 0], window[:, 0, 2] = mirror * width, uniform(-1, 1) * (1 - width)
    window[:, 1, 1], window[:, 1, 2] = height, uniform(-1, 1) * (1 - height)
    grid = F.affine_grid(window, list(pixels.shape), align_corners=False)
    cropped = F.grid_sample(pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    brightness = uniform(1 - BRIGHTNESS, 1 + BRIGHTNESS).view(-1, 1, 1, 1)
    return (cropped * brightness).round().clamp(0, 255).to(torch.uint8)
