"""The same training run as a bare TRL script: what the local trainer's overhead is measured against.

`python benchmarks/bare_trl.py JOB_DIR OUTPUT_DIR` reads the trainer's job.json and data, trains with the same
configuration using nothing of ftportal, keeps the best checkpoint, and prints one JSON object with wall and
CPU seconds from after the imports to the saved result.
"""

import json
import math
import resource
import sys
import time
from pathlib import Path

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging
from trl import SFTConfig, SFTTrainer

SCHEDULERS = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}


def main(job_dir: Path, output: Path) -> None:
    started, cpu = time.perf_counter(), cpu_seconds()
    transformers_logging.disable_progress_bar()
    job = json.loads((job_dir / "job.json").read_text())
    files = {"train": str(job_dir / job["train_file"])}
    if job["validation_file"]:
        files["validation"] = str(job_dir / job["validation_file"])
    data = load_dataset("json", data_files=files, cache_dir=str(output / "cache"))
    tokenizer = AutoTokenizer.from_pretrained(job["base_model"])
    model = AutoModelForCausalLM.from_pretrained(job["base_model"], dtype=torch.float32)
    batches = math.ceil(len(data["train"]) / job["batch_size"])
    steps = job["max_steps"] or math.ceil(job["epochs"] * math.ceil(batches / job["gradient_accumulation"]))
    interval = job["evaluation_steps"] or max(1, math.ceil(steps / 10))
    arguments = SFTConfig(
        output_dir=str(output),
        num_train_epochs=job["epochs"],
        max_steps=job["max_steps"] or -1,
        per_device_train_batch_size=job["batch_size"],
        per_device_eval_batch_size=max(job["batch_size"], 32),
        gradient_accumulation_steps=job["gradient_accumulation"],
        learning_rate=job["learning_rate"],
        lr_scheduler_type=SCHEDULERS[job["scheduler"]],
        warmup_steps=job["warmup_ratio"],
        weight_decay=job["weight_decay"],
        max_grad_norm=job["max_grad_norm"],
        seed=job["seed"],
        data_seed=job["seed"],
        bf16=False,
        use_cpu=not torch.cuda.is_available(),
        activation_checkpointing=False,
        gradient_checkpointing=None,
        dataloader_pin_memory=torch.cuda.is_available(),
        logging_steps=job["logging_steps"],
        eval_strategy="steps" if "validation" in data else "no",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=job["save_total_limit"],
        load_best_model_at_end="validation" in data,
        report_to="none",
        disable_tqdm=True,
        max_length=job["max_length"],
        assistant_only_loss=True,
    )
    lora = None
    if job["method"] == "lora":
        lora = LoraConfig(
            r=job["lora"]["rank"],
            lora_alpha=job["lora"]["alpha"],
            lora_dropout=job["lora"]["dropout"],
            target_modules=job["lora"]["target_modules"],
            task_type="CAUSAL_LM",
        )
    trainer = SFTTrainer(
        model=model,
        args=arguments,
        train_dataset=data["train"],
        eval_dataset=data.get("validation"),
        processing_class=tokenizer,
        peft_config=lora,
    )
    trainer.train()
    trainer.save_model(str(output / "result"))
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    figures = {
        "wall_seconds": time.perf_counter() - started,
        "cpu_seconds": cpu_seconds() - cpu,
        "steps": trainer.state.global_step,
        "last_loss": losses[-1] if losses else None,
        "best_validation_loss": trainer.state.best_metric,
    }
    print(json.dumps(figures), flush=True)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
