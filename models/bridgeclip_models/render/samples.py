from pathlib import Path


def sample_photos(out_dir: Path, seed: int) -> None: ...
