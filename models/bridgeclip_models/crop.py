"""The random crop of open_clip's training transform, with random numbers that a photo can be given again.

open_clip crops training photos with torchvision's RandomResizedCrop: an area of 0.9 to 1 of the photo, a ratio of width to
height of 3/4 to 4/3 (uniform in its logarithm), resized to the square input with Pillow's bicubic filter, then converted to
RGB (open_clip 3.x, transform.py, `image_transform` with `is_train=True`). That class draws from PyTorch's global random
numbers, which several decoding threads would share in an order that changes from run to run.
"""

import math

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resized_crop

AREA = (0.9, 1.0)  # area of the crop, as a share of the photo
RATIO = (3 / 4, 4 / 3)  # width of the crop divided by its height
_ATTEMPTS = 10


def random_crop(image: Image.Image, size: int, random: torch.Generator) -> Image.Image:
    """Returns a random part of the photo as RGB [size x size]. Takes the random numbers in torchvision's order."""
    top, left, height, width = _window(image.width, image.height, random)
    cropped = resized_crop(image, top, left, height, width, [size, size], InterpolationMode.BICUBIC)
    return cropped.convert("RGB")


def row_generator(seed: int, epoch: int, row: int) -> torch.Generator:
    """Returns the random numbers of one row in one epoch, whatever was drawn before."""
    state = np.random.SeedSequence((seed, epoch, row)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state))


def _window(width: int, height: int, random: torch.Generator) -> tuple[int, int, int, int]:
    """Returns top, left, height and width of the crop in pixels."""
    bounds = torch.log(torch.tensor(RATIO)).tolist()
    for _ in range(_ATTEMPTS):
        area = width * height * torch.empty(1).uniform_(*AREA, generator=random).item()
        ratio = torch.exp(torch.empty(1).uniform_(*bounds, generator=random)).item()
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return _below(height - h + 1, random), _below(width - w + 1, random), h, w
    return _largest_centre(width, height)


def _below(end: int, random: torch.Generator) -> int:
    return int(torch.randint(0, end, (1,), generator=random).item())


def _largest_centre(width: int, height: int) -> tuple[int, int, int, int]:
    """Returns the largest central window whose ratio is allowed."""
    if width / height < min(RATIO):
        w, h = width, round(width / min(RATIO))
    elif width / height > max(RATIO):
        w, h = round(height * max(RATIO)), height
    else:
        w, h = width, height
    return (height - h) // 2, (width - w) // 2, h, w
