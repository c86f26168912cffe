"""Quality of the device program's verdicts on labelled pictures, by its own evaluation."""

import json
import subprocess
from pathlib import Path

from .errors import UserError

# Methods and rules of `bridgeclip eval classify`.
_WAYS = {
    "knn_published": ("knn", "published"),
    "knn_balanced": ("knn", "balanced"),
    "linear": ("linear", "published"),
    "zero_shot": ("zero-shot", "published"),
}


def verdict_figures(bridgeclip: Path, package: Path, csv: Path, embeddings: Path) -> dict:
    """Returns macro-F1 and calibration error per category for each method and rule, and how many urgent pictures are found."""
    runs = {
        name: run_json(
            bridgeclip, "eval", "classify", "--csv", csv, "--embeddings", embeddings, "--package", package,
            "--method", method, "--rule", rule,
        )
        for name, (method, rule) in _WAYS.items()
    }
    # Urgency is the same for every method and rule.
    urgency = {name: round(value, 4) for name, value in runs["knn_published"]["urgency"].items()}
    return {name: _scores(run["classification"]) for name, run in runs.items()} | {"urgency": urgency}


def run_json(*command: object) -> dict:
    """Runs the device program with `--json`, and returns the JSON object that it prints."""
    words = [*map(str, command), "--json"]
    try:
        return json.loads(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise UserError(f"{' '.join(words[:3])}: {error}") from error


def _scores(classification: dict) -> dict:
    categories = classification["categories"]
    macro_f1 = {name: round(scores["macro_f1"], 4) for name, scores in categories.items()}
    return {
        "macro_f1": macro_f1 | {"mean": round(classification["mean_macro_f1"], 4)},
        "calibration_error": {name: round(scores["calibration"]["expected_error"], 4) for name, scores in categories.items()},
    }
