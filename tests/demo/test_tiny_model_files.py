"""The shipped model directory loads with transformers alone and its chat template marks what is trained."""

from pathlib import Path
from random import Random

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from demo.tiny_model.corpus import Encoder, Packer
from demo.tiny_model.dialogue import Dialogue, Turn
from demo.tiny_model.model import Shape, TinyLlama

DIRECTORY = Path(__file__).parents[2] / "demo" / "models" / "ftportal-tiny"
CHAT = [
    {"role": "system", "content": "Sort the mail."},
    {"role": "user", "content": "Order 4711 costs €12, żółć?\n\n- yes"},
    {"role": "assistant", "content": "category: money\npriority: urgent"},
    {"role": "user", "content": "And this one?"},
    {"role": "assistant", "content": "offers"},
]


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(DIRECTORY)


@pytest.fixture(scope="module")
def model():
    return AutoModelForCausalLM.from_pretrained(DIRECTORY, dtype=torch.float32).eval()


def test_directory_is_small():
    assert sum(f.stat().st_size for f in DIRECTORY.rglob("*") if f.is_file()) < 10_000_000


def test_tokenizer_gives_back_what_it_took(tokenizer):
    text = tokenizer.apply_chat_template(CHAT, tokenize=False)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_digits_are_single_tokens(tokenizer):
    assert [tokenizer.decode([i]) for i in tokenizer("2048")["input_ids"]] == ["2", "0", "4", "8"]


def test_template_marks_the_answers_and_their_end_marks_only(tokenizer):
    out = tokenizer.apply_chat_template(CHAT, return_dict=True, return_assistant_tokens_mask=True)
    pairs = zip(out["input_ids"], out["assistant_masks"], strict=True)
    marked = tokenizer.decode([token for token, mark in pairs if mark])
    assert marked == "category: money\npriority: urgent<|im_end|>offers<|im_end|>"


def test_pretraining_saw_the_bytes_of_the_template(tokenizer):
    turns = tuple(Turn(m["role"], m["content"]) for m in CHAT)
    encoder = Encoder(Tokenizer.from_file(str(DIRECTORY / "tokenizer.json")))
    encoded = encoder.encode(Dialogue("chat", turns), Random(0))
    out = tokenizer.apply_chat_template(CHAT, return_dict=True, return_assistant_tokens_mask=True)
    assert encoded.tokens == list(out["input_ids"])
    assert [w >= 1 for w in encoded.weights] == [m == 1 for m in out["assistant_masks"]]


def test_own_forward_pass_agrees_with_the_library(model, tokenizer):
    ids = tokenizer.apply_chat_template(CHAT, return_dict=True)["input_ids"]
    own = TinyLlama(Shape())
    own.load_state_dict({k: v for k, v in model.state_dict().items() if k != "lm_head.weight"})
    encoder = Encoder(Tokenizer.from_file(str(DIRECTORY / "tokenizer.json")))
    dialogue = Dialogue("chat", tuple(Turn(m["role"], m["content"]) for m in CHAT))
    packer = Packer(rows=1, length=2 * len(ids), scored=8, patience=1)
    encoded = encoder.encode(dialogue, Random(0))
    packer.add(encoded)
    packer.add(encoded)
    batch = packer.add(encoded)
    assert batch is not None
    # The second copy in the row must see nothing of the first one.
    at = torch.tensor([[len(ids) + 10, 2 * len(ids) - 2]])
    arrays = (batch.tokens, batch.document, batch.position)
    with torch.inference_mode():
        mine = own(*(torch.from_numpy(a) for a in arrays), at)[0]
        theirs = model(torch.tensor([ids])).logits[0, [10, len(ids) - 2]]
    # bfloat16 keeps about three digits.
    assert torch.allclose(mine.softmax(-1), theirs.softmax(-1), atol=0.03)


def test_model_answers_in_the_form_that_the_prompt_states(model, tokenizer):
    prompt = (DIRECTORY.parents[1] / "support_tickets" / "prompt.txt").read_text(encoding="utf-8").strip()
    messages = [
        {"role": "system", "content": prompt},
        {"role": "user", "content": "My parcel has not arrived. Please hurry!"},
    ]
    inputs = tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    output = model.generate(**inputs, max_new_tokens=32)
    answer = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    lines = answer.split("\n")
    assert len(lines) == 2
    assert lines[0].startswith("category: ")
    assert lines[1] in ("priority: urgent", "priority: normal", "priority: later")
