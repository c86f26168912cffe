"""What a photo shows, chosen before a pixel is drawn: structure, member, damages and sizes, camera, light, labels.

Nothing here depends on the resolution, so a scene has the same labels and the same view at 0.2 and at 20 megapixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..captions import Labels, categories
from ..profile.labels import LOCATION_SHARES, LOCATIONS
from . import damage_concrete as concrete
from . import damage_steel as steel
from .canvas import SKY, Canvas
from .distractors import DISTRACTORS
from .geometry import Camera, Facet
from .grading import Finding, chances, measure, rating
from .light import Light
from .materials import FAMILY, generator
from .shapes import Spot
from .structures import Structure, box_culvert, end_span

SOUND = 0.22  # share of photos that show no damage
SECOND, THIRD = 0.3, 0.08  # probability of further damages
ELSEWHERE = 0.25  # of those, how many are on another member in view
_LOOK = (128, 96)  # px; at this size views are tried
_TRIES = 60
_MARGIN = 0.05  # of the frame: the middle of a damage keeps this distance from its border
_RARE = 0.35  # exponent towards equal frequencies of damage at a member, so that rare kinds can be learned


@dataclass(frozen=True)
class Kind:
    """How a kind of damage is drawn on the materials where it occurs, and its usual extent in mm with the spread of its
    logarithm (base e) for one deviation of severity."""

    painters: dict[str, Callable[[Canvas, np.random.Generator, Spot], None]]
    extent: float
    growth: float
    spread: float = 0.45


_C, _S, _A, _G = "concrete", "steel", "asphalt", "ground"
KINDS: dict[str, Kind] = {
    "cracking": Kind({_C: concrete.cracking, _A: concrete.cracking}, 700, 0.45),
    "spalling / rebar exposure": Kind({_C: concrete.spalling}, 260, 0.55),
    "corrosion": Kind({_S: steel.corrosion, "joint": steel.corrosion, "grate": steel.corrosion}, 350, 0.5),
    "delamination": Kind({_C: concrete.delamination}, 450, 0.5),
    "water leakage / efflorescence": Kind({_C: concrete.leakage, "joint": concrete.leakage}, 600, 0.5),
    "deformation / defect": Kind(
        {
            _S: steel.dent,
            _C: concrete.broken_edge,
            "joint": steel.dent,
            "plastic": steel.dent,
            _A: concrete.pavement_defect,
        },
        320,
        0.5,
    ),
    "soil/debris clogging": Kind(
        {
            _C: concrete.clogging,
            _S: concrete.clogging,
            "joint": concrete.clogging,
            "grate": concrete.clogging,
            _A: concrete.clogging,
        },
        500,
        0.45,
    ),
    "loosening / dislodgement": Kind(
        {_S: steel.loosening, "joint": steel.loosening, "plastic": steel.loosening}, 160, 0.3
    ),
    "deterioration of anti-corrosion function": Kind({_S: steel.peeling_paint}, 450, 0.5),
    "bearing dysfunction": Kind({_S: steel.bearing_dysfunction, "rubber": steel.bearing_dysfunction}, 330, 0.3),
    "fracture": Kind(
        {_S: steel.fracture, "plastic": steel.fracture, "joint": steel.fracture, "grate": steel.fracture}, 260, 0.3
    ),
    "fatigue cracking": Kind({_S: steel.fatigue_crack}, 130, 0.6),
    "pavement defect": Kind({_A: concrete.pavement_defect}, 450, 0.5),
    "scour": Kind({_C: concrete.scour}, 1500, 0.4),
    "other": Kind({_C: concrete.honeycomb, _S: steel.peeling_paint, _A: concrete.honeycomb}, 450, 0.5),
}
_PAINTED = {"paint"}  # a coating can only fail where there is one
_CULVERT = {"top slab", "bottom slab", "side wall"}
_FIELD_MAX = {"cracking": 3500, "fatigue cracking": 2000}  # mm; inspectors go near for cracks
_REINFORCED = {"spalling / rebar exposure", "delamination"}  # not in masonry
_FOUNDATIONS = -3000.0  # mm; walls and columns end below this level, bearings are at 0
_FLAT_ONLY = {"soil/debris clogging"}  # on what faces up


@dataclass(frozen=True)
class Damage:
    """A damage of a scene."""

    kind: str
    member: str
    spot: Spot

    def paint(self, canvas: Canvas, rng: np.random.Generator) -> None:
        family = FAMILY[canvas.projections[self.spot.number].facet.material]
        KINDS[self.kind].painters[family](canvas, rng, self.spot)


@dataclass(frozen=True)
class Distractor:
    """Something that is no damage."""

    kind: str
    spot: Spot

    def paint(self, canvas: Canvas, rng: np.random.Generator) -> None:
        DISTRACTORS[self.kind][1](canvas, rng, self.spot)


@dataclass(frozen=True)
class Plan:
    """A scene without pixels."""

    seed: tuple[int, ...]
    structure: Structure
    facets: list[Facet]
    camera: Camera
    light: Light
    member: str  # what the photo was taken of
    damages: list[Damage]
    distractors: list[Distractor]
    labels: Labels
    shape: tuple[int, int]  # width : height


class _Unseen(Exception):
    """No camera position shows what was planned; another scene is planned instead."""


def plan(seed: tuple[int, ...]) -> Plan:
    """Returns the scene of a seed."""
    for attempt in range(200):
        try:
            return _plan((*seed, attempt))
        except _Unseen:
            continue
    raise RuntimeError(f"scene {seed}: no view found")


def _plan(seed: tuple[int, ...]) -> Plan:
    rng = generator(seed, "plan")
    member = str(rng.choice(LOCATIONS, p=LOCATION_SHARES / LOCATION_SHARES.sum()))
    kind, severity = _main_damage(rng, member)
    structure = _structure(rng, member, kind)
    extent = _extent(rng, kind, severity) if kind else float(np.exp(rng.uniform(np.log(150), np.log(900))))
    shape = ((4, 3), (4, 3), (4, 3), (3, 2), (16, 9), (3, 4))[int(rng.integers(6))]
    view = _View(rng, structure, member, kind, extent, shape)
    damages = _damages(rng, view, member, kind, severity, extent)
    light = Light.of(
        generator(seed, "light"), member not in ("pavement", "curb", "railing", "guardrail", "expansion joint")
    )
    return Plan(
        seed,
        structure,
        view.facets,
        view.camera,
        light,
        member,
        damages,
        _distractors(rng, view),
        _labels(rng, damages, member),
        shape,
    )


def _main_damage(rng: np.random.Generator, member: str) -> tuple[str, float]:
    if rng.random() < SOUND:
        return "", 0.0
    shares = {name: share for name, share in chances(member).items() if _possible(name, member)}
    weights = np.array(list(shares.values())) ** (1 - _RARE)
    return str(rng.choice(list(shares), p=weights / weights.sum())), float(rng.normal(0, 1))


def _possible(kind: str, member: str) -> bool:
    only = {
        "bearing dysfunction": {"bearing"},
        "pavement defect": {"pavement"},
        "scour": {"pier", "vertical wall", "bottom slab"},
    }
    steel_members = {
        "main girder",
        "cross girder",
        "bearing",
        "railing",
        "guardrail",
        "attached equipment",
        "unseating prevention system",
        "drainage facility",
        "expansion joint",
    }
    families = set(KINDS[kind].painters)
    if kind in only:
        return member in only[kind]
    if member == "pavement":
        return _A in families
    if member == "expansion joint":
        return "joint" in families
    if member in ("main girder", "cross girder"):
        return bool(families & {_S, _C})
    return _S in families if member in steel_members else _C in families


def _structure(rng: np.random.Generator, member: str, kind: str) -> Structure:
    if member in _CULVERT:
        return box_culvert(rng)
    families = set(KINDS[kind].painters) if kind else {_S, _C}
    of_steel = rng.random() < 0.55
    if member in ("main girder", "cross girder") and len(families & {_S, _C}) == 1:
        of_steel = _S in families
    focus = (
        float(rng.uniform(500, 9000)) if member not in ("bearing", "parapet", "unseating prevention system") else 600.0
    )
    return end_span(rng, of_steel, focus)


def _extent(rng: np.random.Generator, kind: str, severity: float) -> float:
    of = KINDS[kind]
    return float(np.clip(of.extent * np.exp(of.growth * severity + rng.normal(0, of.spread)), 30, 5000))


class _View:
    """A camera that sees a member, and the facets before it at a small size."""

    def __init__(
        self,
        rng: np.random.Generator,
        structure: Structure,
        member: str,
        kind: str,
        extent: float,
        shape: tuple[int, int],
    ) -> None:
        self.size = (_LOOK[0], round(_LOOK[0] * shape[1] / shape[0]))
        targets = [facet for facet in _of_member(structure, member) if _suits(facet, kind, extent)]
        if not targets:
            raise _Unseen
        weights = np.array([min(facet.area, 4e6) ** 0.5 for facet in targets])
        for _ in range(_TRIES):
            target = targets[int(rng.choice(len(targets), p=weights / weights.sum()))]
            camera = self._camera(rng, structure, target, kind, extent)
            if camera is not None and self._shows(structure, camera, target):
                return
        raise _Unseen

    def _camera(
        self, rng: np.random.Generator, structure: Structure, target: Facet, kind: str, extent: float
    ) -> Camera | None:
        """Returns a camera that looks at a place on the target, or None if nobody can stand there."""
        share = np.exp(rng.uniform(np.log(0.012), np.log(0.3)))
        field = float(np.clip(extent / np.sqrt(share), 500, _FIELD_MAX.get(kind, 5000))) * rng.uniform(0.8, 1.1)
        focal = self.size[0] * rng.uniform(24, 52) / 36
        margin = min(0.15, extent / max(target.size) / 2)
        u = rng.uniform(margin, 1 - margin) * target.size[0]
        v = (
            rng.uniform(margin, 1 - margin) * target.size[1]
            if kind != "scour"
            else target.size[1] * rng.uniform(0.8, 1)
        )
        at, normal = target.at(u, v), target.normal
        tilt = (
            rng.uniform(0.3, 2.2)
            if normal[2] > 0.5
            else rng.uniform(0, 0.9)
            if normal[2] < -0.5
            else abs(rng.normal(0, 0.45))
        )
        angle = rng.uniform(0, 2 * np.pi)
        direction = normal + tilt * (
            np.cos(angle) * target.u + (0.6 if abs(normal[2]) < 0.5 else 1) * np.sin(angle) * target.v
        )
        eye = at + direction / np.linalg.norm(direction) * field * focal / self.size[0]
        if not structure.is_free(eye):
            return None
        aim = at + field * 0.22 * (rng.uniform(-1, 1) * target.u + rng.uniform(-1, 1) * target.v)
        return Camera.looking(eye, aim, float(rng.normal(0, 0.04)), focal, self.size)

    def _shows(self, structure: Structure, camera: Camera, target: Facet) -> bool:
        self.camera, self.facets = camera, structure.model.seen_from(camera.eye)
        self.canvas = Canvas(camera, self.facets)
        ids = self.canvas.ids
        numbers = [n for n, facet in enumerate(self.facets) if facet.member == target.member]
        share = np.isin(ids, numbers).mean()
        least = 0.02 if target.radius or min(target.size) < 120 else 0.12
        return bool(share > least and (ids == SKY).mean() < 0.6)

    def places(self, accepts: Callable[[Facet], bool]) -> tuple[np.ndarray, np.ndarray]:
        """Returns rows and columns of the pixels, away from the frame's border, that show an accepted facet."""
        wanted = np.array([accepts(facet) for facet in self.facets] + [False])
        height, width = self.canvas.shape
        top, left = int(_MARGIN * height), int(_MARGIN * width)
        inner = self.canvas.ids[top : height - top, left : width - left]
        rows, columns = np.nonzero(wanted[inner])
        return rows + top, columns + left

    def spot(
        self, rng: np.random.Generator, accepts: Callable[[Facet], bool], extent: float, severity: float
    ) -> Spot | None:
        """Returns a spot at a random place of the frame that shows an accepted facet, or None."""
        rows, columns = self.places(accepts)
        if not len(rows):
            return None
        pick = int(rng.integers(len(rows)))
        y, x = rows[pick] + rng.uniform(-0.5, 0.5), columns[pick] + rng.uniform(-0.5, 0.5)
        number = int(self.canvas.ids[rows[pick], columns[pick]])
        projection = self.canvas.projections[number]
        at = np.array([1, x, y])
        u, v = (projection.u @ at) / (projection.inverse @ at), (projection.v @ at) / (projection.inverse @ at)
        return Spot(number, float(u), float(v), extent, severity)


def _of_member(structure: Structure, member: str) -> list[Facet]:
    rods = [
        rod.facing((rod.start + rod.end) / 2 + np.array([1e3, 1e3, -1e3]))
        for rod in structure.model.rods
        if rod.member == member
    ]
    return [facet for facet in structure.model.facets if facet.member == member] + rods


def _reaches_the_ground(facet: Facet) -> bool:
    """Whether a facet is the foot of a wall or pier, or a floor."""
    if facet.member == "bottom slab":
        return True
    return abs(facet.normal[2]) < 0.5 and not facet.outline and facet.at(0, facet.size[1])[2] < _FOUNDATIONS


def _suits(facet: Facet, kind: str, extent: float) -> bool:
    """Whether a kind of damage can be on a facet."""
    if not kind:
        return True
    if kind in _FLAT_ONLY and facet.normal[2] < 0.5 and facet.material not in ("joint", "grate"):
        return False
    if kind == "deterioration of anti-corrosion function" and facet.material not in _PAINTED:
        return False
    if kind == "scour" and not _reaches_the_ground(facet):
        return False
    if (
        kind == "loosening / dislodgement"
        and facet.material in ("paint", "weathering", "galvanised")
        and not any(hasattr(d, "centres") for d in facet.details)
    ):
        return False
    if kind == "corrosion" and facet.material == "weathering":
        return extent > 250
    if facet.material == "masonry" and kind in _REINFORCED:
        return False
    room = min(facet.size) if not facet.radius else 3 * facet.radius
    return FAMILY[facet.material] in KINDS[kind].painters and room > min(40, extent / 3)


def _damages(
    rng: np.random.Generator, view: _View, member: str, kind: str, severity: float, extent: float
) -> list[Damage]:
    if not kind:
        return []
    spot = view.spot(rng, lambda facet: facet.member == member and _suits(facet, kind, extent), extent, severity)
    if spot is None:
        raise _Unseen
    damages = [Damage(kind, member, spot)]
    for chance in (SECOND, THIRD):
        if rng.random() < chance:
            more = _further(rng, view, member)
            if more and more.kind not in {damage.kind for damage in damages}:
                damages.append(more)
    if rng.random() < 0.3:  # the same damage again, elsewhere in the frame
        again = view.spot(
            rng,
            lambda facet: facet.member == member and _suits(facet, kind, extent),
            extent * rng.uniform(0.3, 0.9),
            severity - rng.uniform(0, 1),
        )
        if again:
            damages.append(Damage(kind, member, again))
    return damages


def _further(rng: np.random.Generator, view: _View, member: str) -> Damage | None:
    if rng.random() < ELSEWHERE:
        shown = sorted({view.facets[n].member for n in view.canvas.visible} - {"", member})
        member = str(rng.choice(shown)) if shown else member
    shares = {name: share for name, share in chances(member).items() if _possible(name, member)}
    weights = np.array(list(shares.values()))
    kind, severity = str(rng.choice(list(shares), p=weights / weights.sum())), float(rng.normal(-0.4, 1))
    extent = _extent(rng, kind, severity)
    spot = view.spot(rng, lambda facet: facet.member == member and _suits(facet, kind, extent), extent, severity)
    return Damage(kind, member, spot) if spot else None


def _distractors(rng: np.random.Generator, view: _View) -> list[Distractor]:
    names = list(DISTRACTORS)
    weights = np.array([DISTRACTORS[name][0] for name in names])
    found = []
    for _ in range(int(rng.poisson(1.3))):
        kind = str(rng.choice(names, p=weights / weights.sum()))
        spot = view.spot(
            rng, lambda facet: bool(facet.member), float(np.exp(rng.uniform(np.log(80), np.log(700)))), 0.0
        )
        if spot and not (kind in ("leaves", "droppings") and view.facets[spot.number].normal[2] < 0.3):
            found.append(Distractor(kind, spot))
    return found


def _labels(rng: np.random.Generator, damages: list[Damage], member: str) -> Labels:
    findings = [Finding(damage.kind, damage.member, damage.spot.severity) for damage in damages]
    soundness = rating(findings, rng)
    kinds, members = {damage.kind for damage in damages}, {damage.member for damage in damages} or {member}
    return Labels(
        soundness,
        measure(soundness, findings, rng),
        tuple(name for name in categories()["damage_type"].classes if name in kinds),
        tuple(name for name in categories()["damage_location"].classes if name in members),
    )
