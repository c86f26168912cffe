"""Random changes of training photos that leave their captions true."""

import torch
import torch.nn.functional as F

AREA_MIN = 0.7  # minimum area of the crop, as a share of the photo
ASPECT_MAX = 4 / 3  # maximum ratio of the crop's width to its height, and of its height to its width
BRIGHTNESS = 0.2  # brightness is multiplied by a factor from 1 - BRIGHTNESS to 1 + BRIGHTNESS


def augmented(pixels: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Crops, resizes, mirrors and brightens photos at random: uint8 [batch, 3, size, size] in and out.

    The random numbers come from `generator`, which is on the CPU, so that a training step can be repeated.
    """
    count = len(pixels)

    def uniform(low: float, high: float) -> torch.Tensor:
        return (low + (high - low) * torch.rand(count, generator=generator)).to(pixels.device)

    area, stretch = uniform(AREA_MIN, 1), uniform(-1, 1)
    aspect = torch.pow(torch.tensor(ASPECT_MAX, device=pixels.device), stretch)
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    mirror = torch.where(uniform(-1, 1) < 0, -1.0, 1.0)
    # The window maps output coordinates -1..1 to the part of the input that is cropped: x' = width x + shift.
    window = torch.zeros(count, 2, 3, device=pixels.device)
    window[:, 0, 0], window[:, 0, 2] = mirror * width, uniform(-1, 1) * (1 - width)
    window[:, 1, 1], window[:, 1, 2] = height, uniform(-1, 1) * (1 - height)
    grid = F.affine_grid(window, list(pixels.shape), align_corners=False)
    cropped = F.grid_sample(pixels.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    brightness = uniform(1 - BRIGHTNESS, 1 + BRIGHTNESS).view(-1, 1, 1, 1)
    return (cropped * brightness).round().clamp(0, 255).to(torch.uint8)
