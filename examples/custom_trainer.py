"""A trainer of your own, in the standard library: what it is given, what it writes, what it leaves.

Set it up with

    FTPORTAL_CUSTOM_TRAINER="python3 /path/to/examples/custom_trainer.py"

and choose “Custom trainer” in the form of a training. docs/custom-trainers.md describes every field.

So that it runs anywhere in seconds, what it trains is a table of which character follows which in the answers, with a
real loss (nats a character); what it leaves is a real LoRA adapter for the base model whose effect is zero. Put your
own training in the place of `Bigrams` and of `write_adapter`.
"""

import json
import math
import os
import random
import signal
import struct
import sys
from collections import Counter, defaultdict
from pathlib import Path

JOB_DIR = Path(os.environ["FTPORTAL_JOB_DIR"])
EVENTS = Path(os.environ["FTPORTAL_EVENTS"])
RESULT_DIR = Path(os.environ["FTPORTAL_RESULT_DIR"])
CHARACTERS = 256


def report(type_, **fields):
    """One event: a JSON object a line, in one write."""
    with EVENTS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"type": type_, **fields}) + "\n")


def answers(path):
    """The texts to learn: what the assistant says, less what is not to be trained on."""
    found = []
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            for message in json.loads(line)["messages"]:
                if message["role"] == "assistant" and message.get("weight") != 0 and message.get("content"):
                    found.append(message["content"])
    return found


class Bigrams:
    """How often a character followed another."""

    def __init__(self):
        self.after = defaultdict(Counter)

    def loss(self, texts):
        """Mean nats a character, with every character thought seen once."""
        nats = characters = 0
        for text in texts:
            for before, character in zip("\0" + text, text + "\0", strict=True):
                seen = self.after[before]
                nats -= math.log((seen[character] + 1) / (seen.total() + CHARACTERS))
                characters += 1
        return nats / max(1, characters)

    def learn(self, texts):
        for text in texts:
            for before, character in zip("\0" + text, text + "\0", strict=True):
                self.after[before][character] += 1


def shapes_of(base_model):
    """The shapes of the base model's attention queries, from the head of its safetensors files."""
    found = {}
    for file in sorted(Path(base_model).glob("*.safetensors")):
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        found |= {
            name.removesuffix(".weight"): entry["shape"]
            for name, entry in header.items()
            if name.endswith("q_proj.weight")
        }
    return found


def write_adapter(directory, job):
    """A LoRA adapter as PEFT stores it: A random, B zero, so that the model answers as before."""
    lora, draw = job["lora"], random.Random(job["seed"])
    tensors = {}
    for name, (outputs, inputs) in shapes_of(job["base_model"]).items():
        rank = lora["rank"]
        tensors[f"base_model.model.{name}.lora_A.weight"] = (
            [rank, inputs],
            [draw.gauss(0, 0.02) for _ in range(rank * inputs)],
        )
        tensors[f"base_model.model.{name}.lora_B.weight"] = ([outputs, rank], [0.0] * (outputs * rank))
    if not tensors:
        report(
            "failed",
            code="unknown_model",
            message="This example needs a base model with q_proj in a directory.",
        )
        sys.exit(1)
    directory.mkdir(parents=True, exist_ok=True)
    header, body = {}, bytearray()
    for name, (shape, values) in tensors.items():
        start = len(body)
        body += struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, len(body)]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    (directory / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(head)) + head + body)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": job["base_model"],
        "r": lora["rank"],
        "lora_alpha": lora["alpha"],
        "lora_dropout": lora["dropout"],
        "target_modules": ["q_proj"],
        "bias": "none",
    }
    (directory / "adapter_config.json").write_text(json.dumps(config, indent=1))


def main():
    job = json.loads((JOB_DIR / "job.json").read_text(encoding="utf-8"))
    if job["method"] != "lora" or job["objective"] != "supervised":
        report("failed", code="not_supported", message="This example trains LoRA on answers, nothing else.")
        sys.exit(1)
    # A cancel: nothing of this is worth keeping, so there is nothing to do but to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    train = answers(JOB_DIR / job["train_file"])
    validation = answers(JOB_DIR / job["validation_file"]) if job["validation_file"] else []
    epochs, batch = job["epochs"], job["batch_size"] * job["gradient_accumulation"]
    steps = job["max_steps"] or math.ceil(epochs * math.ceil(len(train) / batch))
    every = job["evaluation_steps"] or max(1, steps // 10)
    report("plan", steps=steps, examples=len(train), validation_examples=len(validation))
    model, draw, order, loss = Bigrams(), random.Random(job["seed"]), [], None
    for step in range(1, steps + 1):
        if len(order) < batch:
            order += draw.sample(train, len(train))
        texts, order = order[:batch], order[batch:]
        report("metrics", step=step, loss=model.loss(texts), epoch=step * batch / len(train))
        model.learn(texts)
        if validation and (step % every == 0 or step == steps):
            loss = model.loss(validation)
            report("evaluation", step=step, loss=loss)
    write_adapter(RESULT_DIR, job)
    report("result", steps=steps, validation_loss=loss)  # of what is left in RESULT_DIR


if __name__ == "__main__":
    main()
