"""Content and camera settings of the sample photos: two dozen views of one bridge, on one day of inspection."""

from dataclasses import dataclass

from ..captions import Labels
from .grading import measure

SMALL = (1024, 768)  # px, width and height as the camera was held
LARGE = (4000, 3000)
_UPRIGHT = 1  # Orientation tag of EXIF
TURN_RIGHT, TURN_LEFT = 6, 8  # the viewer must turn the stored pixels this way by 90 degrees


@dataclass(frozen=True)
class Shot:
    """A sample photo."""

    file: str
    rating: str
    damages: tuple[str, ...]
    locations: tuple[str, ...]
    size: tuple[int, int] = SMALL
    orientation: int = _UPRIGHT

    @property
    def by_drone(self) -> bool:
        return self.file.startswith("DJI")

    @property
    def labels(self) -> Labels:
        return Labels(self.rating, measure(self.rating, self.damages, self.locations), self.damages, self.locations)


SHOTS = (
    Shot("DSC00012.JPG", "II", ("cracking",), ("vertical wall",)),
    Shot("DSC00013.JPG", "III", ("spalling / rebar exposure",), ("deck slab",), LARGE),
    Shot("DSC00015.JPG", "IV", ("spalling / rebar exposure",), ("deck slab",)),
    Shot("DSC00016.JPG", "III", ("corrosion",), ("main girder",)),
    Shot("DSC00018.JPG", "II", ("deterioration of anti-corrosion function",), ("cross girder",)),
    Shot("DSC00019.JPG", "III", ("bearing dysfunction",), ("bearing",)),
    Shot("DSC00021.JPG", "II", ("soil/debris clogging",), ("drainage facility",), orientation=TURN_RIGHT),
    Shot("DSC00022.JPG", "II", ("soil/debris clogging",), ("expansion joint",)),
    Shot("DSC00024.JPG", "I", ("pavement defect",), ("pavement",), orientation=TURN_LEFT),
    Shot("DSC00025.JPG", "I", ("corrosion",), ("guardrail",)),
    Shot("DSC00027.JPG", "III", ("loosening / dislodgement",), ("railing",)),
    Shot("DSC00028.JPG", "II", ("cracking", "delamination"), ("curb",)),
    Shot("DSC00030.JPG", "II", ("corrosion",), ("attached equipment",)),
    Shot("DSC00031.JPG", "III", ("fracture",), ("unseating prevention system",)),
    Shot("DSC00033.JPG", "II", ("water leakage / efflorescence",), ("parapet",)),
    Shot("DSC00034.JPG", "I", ("cracking",), ("wing wall",)),
    Shot("DSC00036.JPG", "II", ("other",), ("side wall",)),
    Shot("DSC00037.JPG", "III", ("water leakage / efflorescence",), ("top slab",), orientation=TURN_RIGHT),
    Shot("DSC00039.JPG", "II", ("cracking",), ("bottom slab",)),
    Shot("DJI_0007.JPG", "IV", ("scour",), ("pier",)),
    Shot("DJI_0008.JPG", "III", ("fatigue cracking",), ("main girder",), LARGE),
    Shot("DJI_0011.JPG", "IV", ("fracture",), ("main girder",)),
    Shot("DJI_0012.JPG", "II", ("corrosion",), ("main girder", "bearing")),
    Shot("DJI_0015.JPG", "III", ("deformation / defect",), ("other",), orientation=TURN_LEFT),
)
