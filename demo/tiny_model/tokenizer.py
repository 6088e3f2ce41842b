"""Trains the tokenizer on the corpus and writes it in the form that AutoTokenizer.from_pretrained reads."""

import json
from itertools import islice
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from demo.tiny_model.corpus import SPECIALS, dialogues

VOCABULARY = 2048
TRAINING_DIALOGUES = 30_000
# ChatML. The generation marks let a trainer count the loss on the assistant's tokens only, end mark included.
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{%- if message['role'] == 'assistant' %}"
    "{{- '<|im_start|>assistant\\n' }}"
    "{% generation %}{{- message['content'] + '<|im_end|>' }}{% endgeneration %}"
    "{{- '\\n' }}"
    "{%- else %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def train(seed: int) -> Tokenizer:
    """Byte-level BPE whose digits are always single tokens."""
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (
        turn.content for d in islice(dialogues(f"tokenizer-{seed}"), TRAINING_DIALOGUES) for turn in d.turns
    )
    tokenizer.train_from_iterator(
        (t + "\nsystem\nuser\nassistant\n" if i % 50 == 0 else t for i, t in enumerate(texts)), trainer
    )
    return tokenizer


def save(tokenizer: Tokenizer, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(directory / "tokenizer.json"))
    settings = {
        "tokenizer_class": "TokenizersBackend",
        "pad_token": SPECIALS[0],
        "eos_token": SPECIALS[2],
        "model_max_length": 1024,
        "clean_up_tokenization_spaces": False,
        "padding_side": "left",
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (directory / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")
