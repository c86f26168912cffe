"""The field bench at small sizes: masks, true sizes, labels, files."""

import csv
import itertools
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from bridgeclip_models.captions import categories
from bridgeclip_models.cli import main
from bridgeclip_models.evaluation import read_labels
from bridgeclip_models.field import Bench, photograph, plan, render
from bridgeclip_models.field.canvas import Canvas
from bridgeclip_models.field.damage_concrete import spalling
from bridgeclip_models.field.geometry import Camera, Model
from bridgeclip_models.field.grading import Finding, measure, rating
from bridgeclip_models.field.noise import fractal
from bridgeclip_models.field.plan import KINDS
from bridgeclip_models.field.shapes import Spot
from bridgeclip_models.field.stamps import discs, stroke

SEEDS = [(5, index) for index in range(70)]
RARE = [(5, 73), (5, 112), (5, 399)]  # scenes with the kinds of damage that the others lack


@pytest.fixture(scope="module")
def plans():
    return [plan(seed) for seed in SEEDS]


def wall(pitch: float, side: int = 400) -> Canvas:
    """Returns a wall that a camera faces, at `pitch` mm a pixel."""
    model = Model()
    model.quad((0, 5000, 5000), (0, -1, 0), (0, 0, -1), (10_000, 10_000), "concrete", "pier")
    focal = 500.0
    camera = Camera.looking(np.array([pitch * focal, 0, 0]), np.zeros(3), 0.0, focal, (side, side))
    return Canvas(camera, model.seen_from(camera.eye))


@pytest.mark.parametrize("pitch", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("width", [0.2, 0.4, 1.0])
def test_a_crack_covers_its_true_area(pitch, width):
    canvas = wall(pitch)
    length = 80.0
    stamp = stroke(canvas, 0, np.array([5000 - length / 2, 5000 + length / 2]), np.array([4995.0, 5007.0]), width)
    area = stamp.alpha.sum() * pitch**2
    assert area == pytest.approx(width * np.hypot(length, 12), rel=0.05)


@pytest.mark.parametrize("pitch", [0.3, 1.0])
def test_a_disc_covers_its_true_area(pitch):
    stamp = discs(wall(pitch), 0, np.array([5000.0, 5030.0]), np.array([5000.0, 4990.0]), np.array([9.0, 4.0]))
    assert stamp.alpha.sum() * pitch**2 == pytest.approx(np.pi * (81 + 16), rel=0.04)


def test_a_spall_is_as_large_as_planned():
    sizes = []
    for seed in range(12):
        canvas = wall(2.0)
        canvas.albedo[:] = 0.3
        canvas.begin_mark()
        spalling(canvas, np.random.default_rng(seed), Spot(0, 5000.0, 5000.0, 300.0, 0.0))
        columns = np.flatnonzero(canvas.end_mark().any(axis=0))
        sizes.append((columns[-1] - columns[0] + 1) * 2.0)
    assert 0.6 * 300 < np.median(sizes) < 1.5 * 300


def test_noise_has_its_deviation_and_loses_what_a_pixel_cannot_show():
    near, far = wall(0.5).patch(0), wall(20.0).patch(0)
    rng = np.random.default_rng
    assert fractal(near, rng(1), 40, 2, 0.5).std() == pytest.approx(1, abs=0.25)
    assert fractal(far, rng(1), 30, 2, 0.5).std() < 0.2


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_masks_cover_where_pixels_differ(plans, kind):
    """Renders photos with and without a damage: they differ in its mask, and hardly elsewhere."""
    scenes = itertools.chain(plans, map(plan, RARE))
    scene, index = next(
        (scene, index) for scene in scenes for index, damage in enumerate(scene.damages) if damage.kind == kind
    )
    whole, without = photograph(scene, 0.12), photograph(scene, 0.12, without=index)
    assert len(without.masks) == len(whole.masks) - 1
    mask = Image.fromarray(whole.masks[index]).convert("L").filter(ImageFilter.MaxFilter(7))
    inside = np.asarray(mask) > 0
    difference = np.abs(whole.pixels.astype(int) - without.pixels).max(axis=2)
    strong = difference > 40
    assert (strong & ~inside).sum() <= 0.03 * strong.sum() + 12
    if whole.masks[index].sum() > 60:
        assert difference[whole.masks[index]].mean() > 4 * difference[~inside].mean()


def test_most_kinds_of_damage_occur(plans):
    kinds = Counter(damage.kind for scene in plans for damage in scene.damages)
    assert len(kinds) >= 8, kinds
    assert len({name for scene in plans for name in scene.labels.damage_location}) >= 10


def test_many_photos_show_no_damage_and_some_show_several(plans):
    counts = [len(scene.damages) for scene in plans]
    assert 0.1 < np.mean(np.array(counts) == 0) < 0.4
    assert 0.15 < np.mean(np.array(counts) > 1) < 0.6


def test_damage_is_anywhere_in_the_frame(plans):
    """A quarter of the damages lie outside the middle square, as a quarter of a 4:3 frame does."""
    outside = []
    for scene in plans:
        width, height = scene.camera.size
        for damage in scene.damages:
            spot = damage.spot
            canvas = Canvas(scene.camera, scene.facets)
            x, y = canvas.projections[spot.number].pixels(
                canvas.flat(spot.number, np.array([spot.u])), np.array([spot.v])
            )
            assert -2 <= x[0] <= width + 2 and -2 <= y[0] <= height + 2
            outside.append(max(abs(x[0] - width / 2), abs(y[0] - height / 2)) > min(width, height) / 2)
    assert 0.1 < np.mean(outside) < 0.5


def test_labels_do_not_depend_on_the_size(plans):
    scene = next(
        scene for scene in plans if scene.damages and scene.damages[0].kind not in ("cracking", "fatigue cracking")
    )
    small, large = photograph(scene, 0.1), photograph(scene, 0.4)
    share = [photo.masks[0].mean() for photo in (small, large)]
    assert share[0] == pytest.approx(share[1], rel=0.35)
    assert small.scales[0] == pytest.approx(2 * large.scales[0], rel=0.05)


def test_ratings_follow_severity_with_disagreement():
    rng = np.random.default_rng(1)
    grades = {
        severity: Counter(
            rating([Finding("spalling / rebar exposure", "deck slab", severity)], rng) for _ in range(300)
        )
        for severity in (-2.0, 0.0, 2.5)
    }
    assert grades[-2.0]["I"] > 200 and grades[2.5]["IV"] > 150
    assert len(grades[0.0]) >= 2


def test_urgent_measures_go_with_rating_iv():
    rng = np.random.default_rng(1)
    finding = [Finding("fracture", "main girder", 2.0)]
    urgent = np.mean([measure("IV", finding, rng) in ("E1", "E2") for _ in range(300)])
    assert urgent > 0.4 > np.mean([measure("II", finding, rng) in ("E1", "E2") for _ in range(300)])


def test_the_same_seed_gives_the_same_files_whatever_the_jobs(tmp_path):
    for name, jobs in (("one", 1), ("two", 2)):
        render(Bench(tmp_path / name, 4, 3, megapixels=(0.06, 0.1)), jobs)
    first = {path.relative_to(tmp_path / "one"): path.read_bytes() for path in sorted((tmp_path / "one").rglob("*.*"))}
    second = {path.relative_to(tmp_path / "two"): path.read_bytes() for path in sorted((tmp_path / "two").rglob("*.*"))}
    assert first == second and len(first) > 9


def test_tables_agree_with_the_photos(tmp_path):
    bench = Bench(tmp_path, 8, 3, "val", (0.06, 0.06))
    render(bench, 2)
    lines = [json.loads(line) for line in bench.lines.read_text(encoding="utf-8").splitlines()]
    labels = read_labels(bench.csv)
    with bench.csv.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for index, (line, row) in enumerate(zip(lines, rows, strict=True)):
        assert row["image"] == line["image"]
        assert labels["damage_type"][index] == tuple(line["damage_type"])
        assert set(line["damage_type"]) == {damage["type"] for damage in line["damages"]}
        assert row["damage_type_valid"] == ("1" if line["damage_type"] else "0")
        assert set(line["damage_location"]) <= set(categories()["damage_location"].classes)
        with Image.open(tmp_path / line["image"]) as photo:
            size = photo.size if line["orientation"] == 1 else photo.size[::-1]
            assert size == (line["width"], line["height"])
            assert photo.getexif()[0x0110]
        for damage in line["damages"]:
            mask = np.asarray(Image.open(tmp_path / damage["mask"]))
            assert mask.shape == (line["height"], line["width"]) and (mask > 0).sum() == damage["area_px"]


def test_a_bench_is_resumed_and_other_settings_are_refused(tmp_path, capsys):
    command = [
        "field",
        "render",
        "--count",
        "3",
        "--seed",
        "4",
        "--megapixels",
        "0.06",
        "--jobs",
        "1",
        "--out",
        str(tmp_path),
    ]
    assert main(command) == 0
    before = (tmp_path / "field.jsonl").read_bytes()
    kept = tmp_path / "photos" / "field-00000.jpg"
    stamp = kept.stat().st_mtime_ns
    (tmp_path / "records" / "field-00001.json").unlink()
    assert main(command) == 0
    assert (tmp_path / "field.jsonl").read_bytes() == before and kept.stat().st_mtime_ns == stamp
    command[command.index("4")] = "5"
    assert main(command) == 1
    assert "give another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong", [["--megapixels", "20-12"], ["--megapixels", "many"], ["--jobs", "0"], ["--split", "../x"]]
)
def test_wrong_options_are_named(tmp_path, wrong, capsys):
    assert main(["field", "render", "--count", "1", "--out", str(tmp_path), *wrong]) == 1
    assert wrong[0] in capsys.readouterr().err


def test_ctrl_c_leaves_only_complete_photos(tmp_path):
    command = [
        sys.executable,
        "-m",
        "bridgeclip_models",
        "field",
        "render",
        "--count",
        "200",
        "--megapixels",
        "0.06",
        "--jobs",
        "2",
        "--out",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=Path(__file__).parents[1])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("records/*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert not list(tmp_path.rglob("*.part"))
    for record in tmp_path.glob("records/*.json"):
        line = json.loads(record.read_text(encoding="utf-8"))
        assert (tmp_path / line["image"]).is_file() and all(
            (tmp_path / damage["mask"]).is_file() for damage in line["damages"]
        )


def test_a_contact_sheet_shows_the_photos(tmp_path):
    render(Bench(tmp_path, 2, 6, megapixels=(0.06, 0.06)), 1)
    sheet = tmp_path / "sheet.png"
    assert (
        main(
            [
                "field",
                "sheet",
                str(tmp_path / "field.jsonl"),
                "--columns",
                "2",
                "--width",
                "120",
                "--outlines",
                "--out",
                str(sheet),
            ]
        )
        == 0
    )
    assert Image.open(sheet).size == (246, 90)


def test_macro_f1_and_its_interval_are_those_of_the_published_vote():
    from bridgeclip_models.evaluation import knn_macro_f1
    from bridgeclip_models.field.difficulty import indicators, intervals

    rng = np.random.default_rng(2)
    rows = rng.standard_normal((400, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = {
        name: [(of.classes[int(k)],) for k in (rows[:, 0] * 2 + 2).astype(int) % len(of.classes)]
        for name, of in categories().items()
    }
    known = {name: found[100:] for name, found in labels.items()}
    truth = {name: found[:100] for name, found in labels.items()}
    hits = {name: indicators(rows[:100], truth[name], rows[100:], known[name], name) for name in labels}
    found, expected = intervals(hits), knn_macro_f1(rows[:100], truth, rows[100:], known)
    for name, value in expected.items():
        assert found[name]["value"] == pytest.approx(value, abs=1e-4)
        assert found[name]["low"] <= found[name]["value"] + 0.03 and found[name]["low"] < found[name]["high"]
