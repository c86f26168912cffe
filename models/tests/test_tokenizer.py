"""tokenizer.json splits and encodes cleaned text as open_clip's tokenizer does."""

import open_clip
import pytest
from tokenizers import Tokenizer

from bridgeclip_models.golden_texts import TEXTS
from bridgeclip_models.tokenizer_json import tokenizer_json

START, END, LENGTH = 49406, 49407, 77


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_str(tokenizer_json())


def test_known_caption(tokenizer):
    expected = [13008, 533, 21267, 530, 518, 2623, 1077, 801, 269]
    assert tokenizer.encode("cracking is observed in the main girder.").ids == expected


def test_all_golden_texts(tokenizer):
    reference = open_clip.SimpleTokenizer()
    for text in TEXTS:
        ids = [START, *tokenizer.encode(reference.clean_fn(text)).ids, END]
        if len(ids) > LENGTH:
            ids = [*ids[: LENGTH - 1], END]
        ids += [0] * (LENGTH - len(ids))
        assert ids == reference([text])[0].tolist(), repr(text)


def test_rating_glyph_is_not_its_ascii_spelling(tokenizer):
    assert len(tokenizer.encode("\u2172").ids) == 3
    assert tokenizer.encode("\u2172").ids != tokenizer.encode("iii").ids
