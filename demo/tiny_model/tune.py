"""Fine-tunes the tiny model on the tickets, with the demo's settings, and saves the result.

python -m demo.tiny_model.tune --output var/lora --method lora
python -m demo.tiny_model.tune --output var/lora-replay --method lora --replay 600
"""

import argparse
import time
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from demo.tiny_model.splits import by_wording, load

DEMO = Path(__file__).parents[1]
LEARNING_RATES = {"lora": 2e-3, "full": 5e-4, "random": 1e-3}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, default=DEMO / "models" / "ftportal-tiny")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument(
        "--method", choices=tuple(LEARNING_RATES), default="lora", help="random: no pre-training"
    )
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--rows", type=int, help="use only the first rows of the training split")
    parser.add_argument("--replay", type=int, default=0, help="general dialogues to mix in")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    torch.manual_seed(arguments.seed)

    rows = by_wording(arguments.seed).train[: arguments.rows]
    rows += load(DEMO / "general_skills" / "replay.jsonl")[: arguments.replay]
    data = Dataset.from_list([{"messages": row["messages"]} for row in rows])
    if arguments.method == "random":
        model = AutoModelForCausalLM.from_config(
            AutoConfig.from_pretrained(arguments.model), dtype=torch.float32
        )
    else:
        model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32)
    settings = SFTConfig(
        output_dir=str(arguments.output),
        num_train_epochs=arguments.epochs,
        per_device_train_batch_size=16,
        learning_rate=arguments.learning_rate or LEARNING_RATES[arguments.method],
        lr_scheduler_type="linear",
        warmup_steps=0.05,
        max_length=512,
        assistant_only_loss=True,
        gradient_checkpointing=False,
        bf16=False,
        use_cpu=True,
        dataloader_pin_memory=False,
        train_sampling_strategy="group_by_length",
        logging_steps=20,
        save_strategy="no",
        report_to="none",
        seed=arguments.seed,
        disable_tqdm=True,
    )
    lora = LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    trainer = SFTTrainer(
        model=model,
        args=settings,
        train_dataset=data,
        processing_class=AutoTokenizer.from_pretrained(arguments.model),
        peft_config=lora if arguments.method == "lora" else None,
    )
    started = time.monotonic()
    trainer.train()
    trainer.save_model(str(arguments.output))
    print(f"{len(rows)} rows, {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()
