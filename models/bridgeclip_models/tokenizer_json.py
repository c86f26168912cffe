"""CLIP's byte-pair encoding as a `tokenizer.json` of Hugging Face's tokenizers library.

It splits and encodes cleaned text exactly as open_clip's `SimpleTokenizer` does. The caller cleans the text (ftfy, HTML
unescaping, white space, lower case), adds start and end token, truncates and pads.

The names of the two special tokens inside a text are a corner case. SimpleTokenizer finds them with its split pattern, from
left to right. The tokenizers library cuts out its "added tokens" before it applies the pattern, so the two would differ on
`!<end_of_text>`. Therefore the names are ordinary words here: merges of the lowest priority join the pieces of such a word to
the special token. No other word can trigger them, because everywhere else the pattern separates `<` from letters.
"""

import json

from open_clip.tokenizer import SimpleTokenizer

_WORD_END = "</w>"
_SPECIAL_TOKENS = ("<start_of_text>", "<end_of_text>")
# Pattern of SimpleTokenizer, which ignores case there too.
_PATTERN = r"(?i:<start_of_text>|<end_of_text>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)"


def tokenizer_json() -> str:
    """Returns the content of the file: compact JSON."""
    tokenizer = SimpleTokenizer()
    vocabulary = dict(tokenizer.encoder)
    merges = [list(pair) for pair in sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.__getitem__)]
    for name in _SPECIAL_TOKENS:
        merges += _special_merges(tokenizer, name, vocabulary)
    return json.dumps(_document(vocabulary, merges), ensure_ascii=False, separators=(",", ":"))


def _special_merges(tokenizer: SimpleTokenizer, name: str, vocabulary: dict[str, int]) -> list[list[str]]:
    """Returns merges that join the pieces of the word `name`. The number of the last result is that of the special token."""
    del tokenizer.cache[name]  # here SimpleTokenizer keeps the special tokens from being split
    first, *rest = tokenizer.bpe(name).split(" ")
    vocabulary[name + _WORD_END] = vocabulary[name]
    merges = []
    for piece in rest:
        merges.append([first, piece])
        first += piece
        vocabulary.setdefault(first, len(vocabulary))
    return merges


def _document(vocabulary: dict[str, int], merges: list[list[str]]) -> dict:
    split = {"type": "Split", "pattern": {"Regex": _PATTERN}, "behavior": "Removed", "invert": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": _WORD_END,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": merges,
        },
    }
