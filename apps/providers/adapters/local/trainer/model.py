"""Loading the base model and its tokenizer, safely and in a sensible precision."""

import importlib.metadata
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from apps.core.chat_tokens import AnswersUnknownError, Chat, ChatTokenizer
from apps.providers.adapters.local.trainer.job import Job
from apps.providers.jobdirs.errors import TrainingFailed

PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "safetensors")
# Above this size activations of long rows no longer fit beside the weights on common accelerators.
CHECKPOINT_ACTIVATIONS_ABOVE = 1_000_000_000
PROBE = [
    {"role": "user", "content": "question"},
    {"role": "assistant", "content": "answer"},
    {"role": "user", "content": "another"},
    {"role": "assistant", "content": "last"},
]


@dataclass(frozen=True)
class Hardware:
    """Where the run computes. `autocast` means bfloat16 arithmetic over float32 trained weights."""

    device: str
    dtype: torch.dtype
    autocast: bool


def choose_hardware() -> Hardware:
    """The best device present. On a CPU float32: whether bfloat16 is faster there depends on the processor."""
    if torch.cuda.is_available():
        bfloat16 = torch.cuda.is_bf16_supported()
        return Hardware("cuda", torch.bfloat16 if bfloat16 else torch.float32, bfloat16)
    if torch.backends.mps.is_available():
        return Hardware("mps", torch.float32, False)
    return Hardware("cpu", torch.float32, False)


def environment(hardware: Hardware, seed: int) -> dict[str, Any]:
    """What someone needs to repeat the run."""
    name = (
        torch.cuda.get_device_name()
        if hardware.device == "cuda"
        else platform.processor() or platform.machine()
    )
    return {
        "packages": {package: importlib.metadata.version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": hardware.device,
        "device_name": name,
        "threads": torch.get_num_threads(),
        "dtype": str(hardware.dtype).removeprefix("torch."),
        "seed": seed,
    }


def check_directory(job: Job) -> None:
    """Refuse a missing directory and weights that are not safetensors before anything is loaded."""
    path = Path(job.base_model)
    if not (path.is_absolute() or path.is_dir()):
        return
    if not (path / "config.json").is_file():
        raise TrainingFailed(
            "model_missing", f"There is no model in the directory {path}: it has no config.json."
        )
    names = os.listdir(path)
    if not any(name.endswith(".safetensors") for name in names):
        unsafe = [name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        if unsafe:
            raise TrainingFailed(
                "unsafe_weights",
                f"The weights in {path} are pickle files ({unsafe[0]}), which can run code when they are loaded. "
                "Convert them to safetensors first.",
            )
        raise TrainingFailed("model_missing", f"There are no safetensors weights in the directory {path}.")


def load_tokenizer(job: Job) -> tuple[PreTrainedTokenizerBase, ChatTokenizer]:
    """The tokenizer, and the renderer of chats that makes ids and answer positions from it."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            job.base_model, revision=job.base_revision, trust_remote_code=False, use_fast=True
        )
    except (OSError, ValueError) as error:
        raise _not_loaded("tokenizer", job, error) from error
    named = tokenizer.chat_template
    named = named if isinstance(named, dict) else {"default": named}
    template = named.get("default")
    if not template:
        raise TrainingFailed(
            "no_chat_template",
            f"The tokenizer of {job.base_model} has no chat template. Choose an instruction-tuned model, or add "
            "chat_template.jinja to its directory.",
        )
    if not tokenizer.is_fast:
        raise TrainingFailed("no_tokenizer", f"The tokenizer of {job.base_model} has no tokenizer.json.")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer, _chat_tokenizer(tokenizer, template, named.get("tool_use"))


def _chat_tokenizer(tokenizer: Any, template: str, tool_template: str | None) -> ChatTokenizer:
    """A renderer that can tell the answers apart; as a last resort with the library's own version of the
    template."""
    special = {
        name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)
    }
    chats = ChatTokenizer(tokenizer.backend_tokenizer, template, special, tool_template=tool_template)
    try:
        encoded = next(chats.encode([Chat(PROBE)]))
    except AnswersUnknownError as error:
        from trl.chat_template_utils import get_training_chat_template

        try:
            patched = get_training_chat_template(tokenizer)
        except ValueError:
            raise error from None
        if patched is None:
            raise
        chats = ChatTokenizer(tokenizer.backend_tokenizer, patched, special, tool_template=tool_template)
        encoded = next(chats.encode([Chat(PROBE)]))
        template = patched
    expected = tokenizer.apply_chat_template(PROBE, chat_template=template, tokenize=True)["input_ids"]
    if encoded.ids != expected:
        raise TrainingFailed(
            "template_mismatch",
            "The chat template is rendered differently here than by transformers; nothing trained.",
        )
    return chats


def load_model(job: Job, hardware: Hardware) -> PreTrainedModel:
    """The base model: trained weights in float32, frozen ones (LoRA) in the device's own precision."""
    dtype = hardware.dtype if job.method == "lora" else torch.float32
    try:
        model = AutoModelForCausalLM.from_pretrained(
            job.base_model,
            revision=job.base_revision,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
        )
    except (OSError, ValueError) as error:
        raise _not_loaded("model", job, error) from error
    return model


def lora_config(job: Job) -> LoraConfig | None:
    if job.method == "full" or job.lora is None:
        return None
    return LoraConfig(
        r=job.lora.rank,
        lora_alpha=job.lora.alpha,
        lora_dropout=job.lora.dropout,
        target_modules=job.lora.target_modules,
        task_type="CAUSAL_LM",
    )


def checkpoints_activations(model: PreTrainedModel, hardware: Hardware) -> bool:
    """Trade compute for memory only where memory is what runs out."""
    return hardware.device == "cuda" and model.num_parameters() > CHECKPOINT_ACTIVATIONS_ABOVE


def _not_loaded(part: str, job: Job, error: Exception) -> TrainingFailed:
    if "trust_remote_code" in str(error) or "custom code" in str(error):
        return TrainingFailed(
            "custom_code",
            f"{job.base_model} needs Python code of its own to be loaded, and code from model files is never run.",
        )
    if Path(job.base_model).is_absolute():
        return TrainingFailed("model_broken", f"The {part} in {job.base_model} can't be loaded: {error}")
    return TrainingFailed(
        "model_missing",
        f"The {part} {job.base_model} is neither a directory nor can it be fetched from the model hub: {error}",
    )
