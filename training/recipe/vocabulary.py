"""A byte-fallback BPE tokenizer in the format of Gemma 4's `tokenizer.json`, with its special tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from .shapes import VOCAB_SIZE

PAD, EOS, BOS, UNK = 0, 1, 2, 3
SPECIAL = [
    "<pad>", "<eos>", "<bos>", "<unk>", "<mask>",
    "<|turn>", "<turn|>", "<|think|>", "<|channel>", "<channel|>",
    "<|tool>", "<tool|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>',
    "<|image>", "<|image|>", "<image|>", "<|audio>", "<|audio|>", "<audio|>", "<|video|>",
]
END_OF_TURN = SPECIAL.index("<turn|>")
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]

# Only for training: which characters may end up in one token. A word takes its leading space; digits stay single.
PIECES = Regex(r"▁?\p{L}+|\d|\n+|▁+|▁?[^\p{L}\d\s▁]+")


def train_tokenizer(texts: Iterable[str], vocab_size: int = VOCAB_SIZE) -> Tokenizer:
    learner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    learner.normalizer = normalizers.Replace(" ", "▁")
    learner.pre_tokenizer = pre_tokenizers.Split(PIECES, behavior="isolated")
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(BYTES), special_tokens=SPECIAL, limit_alphabet=160, max_token_length=16, show_progress=False
    )
    learner.train_from_iterator(texts, trainer)
    learned = json.loads(learner.to_str())["model"]
    return assemble(learned["vocab"], [tuple(pair) for pair in learned["merges"]])


def assemble(vocab: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """Puts the byte tokens behind the special ones and sets up everything else as Gemma has it."""
    by_id = sorted(vocab, key=vocab.__getitem__)
    pieces = SPECIAL + BYTES + by_id[len(SPECIAL) :]
    model = models.BPE(
        vocab={piece: i for i, piece in enumerate(pieces)}, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    # Splits nothing, as the normalizer has left no space: Gemma's files carry it, so this one does.
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos>:1 $B:1", special_tokens=[("<bos>", BOS)]
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "add_bos_token": True, "add_eos_token": False, "clean_up_tokenization_spaces": False,
        "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>", "mask_token": "<mask>",
        "sot_token": "<|turn>", "eot_token": "<turn|>", "think_token": "<|think|>", "soc_token": "<|channel>", "eoc_token": "<channel|>",
        "image_token": "<|image|>", "audio_token": "<|audio|>",
        "model_max_length": 32768, "padding_side": "left", "tokenizer_class": "PreTrainedTokenizerFast",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    template = Path(__file__).with_name("chat_template.jinja")
    (folder / "chat_template.jinja").write_text(template.read_text())
