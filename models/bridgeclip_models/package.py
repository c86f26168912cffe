"""The model package: its manifest `package.toml`, and a folder that appears complete or not at all."""

import contextlib
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .architecture import Architecture
from .checkpoint import Checkpoint, sha256_of
from .errors import UserError

FORMAT = 1
MANIFEST = "package.toml"
_RESIZE_MAX = 4096  # of the short side of photos, in pixels
TOKENIZER = "tokenizer.json"
LABEL_VERSION = "xroad-1"

_NAME = re.compile(r"[a-z0-9-]+")
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@dataclass(frozen=True)
class Identity:
    """A package's description of itself."""

    name: str
    version: str
    description: str
    caption_language: str  # "en" or "ja"
    licence: str  # licence of the weights

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UserError(f"name {self.name!r}: only a-z, 0-9 and - are allowed; choose one with --name")
        if not _VERSION.fullmatch(self.version):
            raise UserError(f"version {self.version!r}: three numbers such as 1.2.3 are expected; choose one with --version")


def check_resize(resize: int | None, architecture: Architecture) -> None:
    """Fails if the short side of photos would be below the encoder's input."""
    size = architecture.vision.image_size
    if resize is not None and not size <= resize <= _RESIZE_MAX:
        raise UserError(f"--resize {resize}: expected {size}, the size of the encoder's input, to {_RESIZE_MAX} pixels")


def write_manifest(
    folder: Path, identity: Identity, architecture: Architecture, checkpoint: Checkpoint, resize: int | None = None
) -> None:
    """Writes `package.toml` for the files in `folder`."""
    files = sorted(path for path in folder.iterdir() if path.name != MANIFEST)
    tables = [
        _table(None, _head(identity, architecture)),
        _table("checkpoint", {"file": checkpoint.file, "sha256": checkpoint.sha256}),
        _table("image", _image(architecture, resize)),
        _table("text", {"context_length": architecture.text.context_length}),
        *(_table(f'files."{path.name}"', {"sha256": sha256_of(path), "bytes": path.stat().st_size}) for path in files),
    ]
    (folder / MANIFEST).write_text("\n".join(tables), encoding="utf-8")


@contextlib.contextmanager
def new_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yields an empty folder beside `target`. When the block ends without an error, the folder replaces `target`."""
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        if not (overwrite and (target / MANIFEST).is_file()):
            raise UserError(f"{target}: exists already; choose another folder, or replace a package with --overwrite")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as temporary:
        fresh = Path(temporary, "new")
        fresh.mkdir(mode=0o755)
        yield fresh
        if target.exists():
            target.rename(Path(temporary, "old"))
        fresh.rename(target)


def _head(identity: Identity, architecture: Architecture) -> dict[str, object]:
    return {
        "format": FORMAT,
        "name": identity.name,
        "version": identity.version,
        "description": identity.description,
        "architecture": architecture.name,
        "precision": "f32",
        "embedding_dim": architecture.embedding_dim,
        "caption_language": identity.caption_language,
        "label_version": LABEL_VERSION,
        "licence": identity.licence,
    }


def _image(architecture: Architecture, resize: int | None) -> dict[str, object]:
    size, prepared = architecture.vision.image_size, architecture.preprocessing
    sizes = {"size": size} if resize in (None, size) else {"size": size, "resize": resize}
    return {**sizes, "mean": prepared.mean, "std": prepared.std, "apply_orientation": False}


def _table(name: str | None, values: dict[str, object]) -> str:
    head = f"[{name}]\n" if name else ""
    return head + "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def _toml(value: object) -> str:
    # Strings, whole numbers, fractions and lists have the same form in JSON and TOML.
    return json.dumps(value, ensure_ascii=False)
