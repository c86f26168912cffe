"""Measures everything that the card says: its figures by key, with intervals over resamples of the validation rows.

  classification.METHOD.CATEGORY              macro-F1; methods base_knn, knn, base_linear, linear; categories and `mean`
  retrieval.MODEL.DIRECTION.R@k               models base, tuned; directions image_to_text, text_to_image
  attributes.MODEL.DIRECTION.CATEGORY.SCORE   text_to_image and image_to_image; AttrMatch@k, mAP, NDCG@10,
                                              for photos also mAP_own_last, NDCG@10_own_last (`ranking_values`)
  attributes.gain.text_to_image.CATEGORY.AttrMatch@1    tuned over base
  reference.SIZE.CATEGORY                     macro-F1 of k-NN, with the reference rows of that subset only
  scaling.SIZE.DIRECTION.R@k, scaling.SIZE.knn.CATEGORY    of the model that was trained on that subset
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import open_clip
import torch

from ..captions import categories
from ..errors import UserError
from ..progress import say
from ..subsets import subset_rows
from .classification import balanced_accuracy, knn_answers, macro_f1_figures, scores
from .embeddings import Cache, Encoder
from .linear import HeadRecipe, centre_view, head_answers, random_view, train_heads
from .resampling import Figure, mean_figure, ratio_figure, row_weights
from .retrieval import Side, match_values, ranking_values, recall_values
from .rows import Rows


@dataclass(frozen=True)
class Plan:
    """What is measured, and how."""

    heads: HeadRecipe | None = HeadRecipe()  # None leaves the linear heads out
    sizes: tuple[int, ...] = ()  # numbers of training rows in the data scaling; 0 is the whole set
    seed: int = 0  # of the resamples
    resamples: int = 1000


@dataclass
class Measured:
    """The results so far."""

    figures: dict[str, Figure] = field(default_factory=dict)
    details: dict[str, dict] = field(default_factory=dict)  # all scores of a method, by method and category
    notes: list[str] = field(default_factory=list)


class Measurement:
    """Measures models on the validation rows, with the training rows as the reference of k-NN."""

    def __init__(self, train: Rows, val: Rows, cache: Cache, plan: Plan, out: Callable[[str], None] = say) -> None:
        self._all = train
        self._reference = train.take(np.flatnonzero(train.valid))
        if not len(self._reference):
            raise UserError("no training row has all four categories valid; k-NN has nothing to compare with")
        self._val = val
        self._cache = cache
        self._plan = plan
        self._out = out
        self._truth = {name: val.truth(name) for name in categories()}
        self._weights = row_weights(len(val), plan.seed, plan.resamples)
        self.found = Measured()

    def knn(self, encoder: Encoder, method: str) -> None:
        """Classifies by the nearest training rows."""
        answers = knn_answers(self._val_photos(encoder).rows, self._reference_photos(encoder), self._reference.labels)
        self._classified(method, answers)

    def linear(self, encoder: Encoder, method: str) -> dict[str, torch.Tensor]:
        """Trains linear heads on the training rows, classifies with them, and returns their weights."""
        recipe, chosen = self._plan.heads, np.flatnonzero(self._val.valid)
        if len(self._reference) < recipe.batch_size or not len(chosen):
            raise UserError(
                f"linear heads: {len(self._reference)} training and {len(chosen)} validation rows with four valid categories; at "
                f"least {recipe.batch_size} and 1 are needed. Leave them out with --no-heads"
            )
        self._out(f"linear heads on {encoder.name}: {recipe.epochs} epochs, {recipe.views or 'no'} random views of each photo")
        val = self._cache.photos(encoder, self._val.pairs, "validation", prepared="probe centre", prepare=centre_view(encoder.size), normalize=False)
        truth = {name: self._reference.truth(name) for name in categories()}
        val_truth = {name: matrix[chosen] for name, matrix in self._truth.items()}
        key = f"heads-{encoder.checkpoint.sha256[:16]}-{_fingerprint(asdict(recipe), self._reference, self._val)}.pt"
        view = lambda epoch: self._view(encoder, epoch)  # noqa: E731
        heads = train_heads(view, truth, val[chosen], val_truth, recipe, self._cache.folder / key, self._out)
        self._classified(method, head_answers(heads, val))
        return {f"heads.{name}": value for name, value in heads.state_dict().items()}

    def retrieval(self, encoder: Encoder, model: str) -> None:
        """Ranks captions and photos by each other."""
        self._recalls(encoder, f"retrieval.{model}")
        photos, texts = self._val_photos(encoder), self._val_texts(encoder)
        for direction, queries, own in (("text_to_image", texts, False), ("image_to_image", photos, True)):
            for name, truth in self._truth.items():
                key = f"attributes.{model}.{direction}.{name}"
                for k, values in match_values(queries, photos, truth, skip_own=own).items():
                    self._add(f"{key}.AttrMatch@{k}", mean_figure(values.expected, self._weights, values.worst, values.best))
                for score, per_query in ranking_values(queries, photos, truth, skip_own=own).items():
                    self._add(f"{key}.{score}", mean_figure(per_query, self._weights))

    def gains(self, base: Encoder, tuned: Encoder) -> None:
        """Compares the two models' retrieval by shared labels."""
        for name, truth in self._truth.items():
            values = [match_values(self._val_texts(model), self._val_photos(model), truth)[1].expected for model in (tuned, base)]
            self._add(f"attributes.gain.text_to_image.{name}.AttrMatch@1", ratio_figure(*values, self._weights))

    def reference_scaling(self, encoder: Encoder, size: int) -> None:
        """Classifies by the training rows of one subset, with the same model."""
        self._subset_knn(encoder, f"reference.{size}", size)

    def training_scaling(self, encoder: Encoder, size: int) -> None:
        """Measures a model that was trained on one subset: retrieval, and k-NN among the rows of that subset."""
        self._recalls(encoder, f"scaling.{size}")
        self._subset_knn(encoder, f"scaling.{size}.knn", size)

    def captions(self, encoder: Encoder) -> dict[str, object]:
        """Returns how far the captions of the validation rows distinguish the photos."""
        texts = [pair.caption for pair in self._val.pairs]
        group, length = self._val_texts(encoder).group, encoder.architecture.text.context_length
        copies = Counter(group.tolist())
        longer = open_clip.SimpleTokenizer(context_length=4 * length)(texts)
        return {
            "pairs": len(texts),
            "empty": sum(not text.strip() for text in texts),
            "distinct": len(copies),
            "pairs_with_equal_captions": sum(count for count in copies.values() if count > 1),
            "most_equal": max(copies.values()),
            "cut_to_the_context_length": int((longer[:, length:] != 0).any(dim=1).sum()),
            "rows_of_the_reference": len(self._reference),
            "rows_of_the_training_set": len(self._all),
        }

    def _subset_knn(self, encoder: Encoder, key: str, size: int) -> None:
        chosen = set(subset_rows(len(self._all), size)) if size else set(range(len(self._all)))
        rows = [place for place, row in enumerate(np.flatnonzero(self._all.valid).tolist()) if row in chosen]
        if not rows:
            self.found.notes.append(f"{key}: no row of the subset has all four categories valid, so k-NN has no figure.")
            return
        labels = self._reference.take(rows).labels
        answers = knn_answers(self._val_photos(encoder).rows, self._reference_photos(encoder)[rows], labels)
        for name, figure in macro_f1_figures(self._truth, answers, self._weights).items():
            self._add(f"{key}.{name}", figure)

    def _classified(self, method: str, answers: Mapping[str, np.ndarray]) -> None:
        for name, figure in macro_f1_figures(self._truth, answers, self._weights).items():
            self._add(f"classification.{method}.{name}", figure)
        self.found.details[method] = {name: scores(self._truth[name], answers[name]) for name in answers}
        for name, category in categories().items():
            if not category.multi:
                self.found.details[method][name]["balanced_accuracy"] = balanced_accuracy(self._truth[name], answers[name])

    def _recalls(self, encoder: Encoder, key: str) -> None:
        photos, texts = self._val_photos(encoder), self._val_texts(encoder)
        for direction, queries, items in (("image_to_text", photos, texts), ("text_to_image", texts, photos)):
            for k, values in recall_values(queries, items).items():
                self._add(f"{key}.{direction}.R@{k}", mean_figure(values.expected, self._weights, values.worst, values.best))

    def _view(self, encoder: Encoder, epoch: int) -> np.ndarray:
        recipe = self._plan.heads
        if not recipe.views:
            prepare, prepared = centre_view(encoder.size), "probe centre"
        else:
            view = epoch % recipe.views
            prepare, prepared = random_view(encoder.size, recipe.seed, view), f"probe view {view} of seed {recipe.seed}"
        return self._cache.photos(encoder, self._reference.pairs, "training", prepared=prepared, prepare=prepare, normalize=False)

    def _val_photos(self, encoder: Encoder) -> Side:
        return self._cache.photo_side(encoder, self._val.pairs, "validation")

    def _val_texts(self, encoder: Encoder) -> Side:
        return self._cache.text_side(encoder, [pair.caption for pair in self._val.pairs], "validation")

    def _reference_photos(self, encoder: Encoder) -> np.ndarray:
        return self._cache.photos(encoder, self._reference.pairs, "training")

    def _add(self, key: str, figure: Figure) -> None:
        self.found.figures[key] = figure


def _fingerprint(recipe: Mapping[str, object], *rows: Rows) -> str:
    content = repr((sorted(recipe.items()), [([str(pair.image) for pair in found.pairs], found.labels, found.valid.tolist()) for found in rows]))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def sizes_within(sizes: Sequence[int], total: int) -> tuple[list[int], list[int]]:
    """Returns the sizes that a training set of this many rows has, and those that it has not. 0 is the whole set."""
    return [size for size in sizes if size <= total], [size for size in sizes if size > total]
