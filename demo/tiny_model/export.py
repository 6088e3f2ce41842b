"""Writes a trained model as a directory that AutoModelForCausalLM.from_pretrained reads, in float16."""

import shutil
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from demo.tiny_model.corpus import SPECIALS
from demo.tiny_model.model import Shape, TinyLlama

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


def configuration(shape: Shape) -> LlamaConfig:
    pad, _, end = range(len(SPECIALS))
    return LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=shape.positions,
        rms_norm_eps=shape.norm_epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )


def export(model: TinyLlama, tokenizer_directory: Path, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    whole = LlamaForCausalLM(configuration(model.shape))
    missing, unexpected = whole.load_state_dict(model.state_dict(), strict=False)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise ValueError(
            f"The parameters do not match LlamaForCausalLM: missing {missing}, unexpected {unexpected}."
        )
    whole.tie_weights()
    whole.generation_config = GenerationConfig(
        eos_token_id=2, pad_token_id=0, do_sample=False, max_new_tokens=64
    )
    whole.to(torch.float16).save_pretrained(directory)
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer_directory / name, directory / name)
