"""Stands in for LLaMA-Factory and Axolotl: writes what the real ones wrote (tests/providers/data), and ends as told.

    fake_tool.py [--ends HOW] train CONFIG

The records are of real runs over 24 rows in batches of 4, two epochs, with a validation every 4 steps. HOW: well,
crash, memory, empty (no model), garbage (between the lines), nan, hang (before step 9), stubborn (hangs and ignores
SIGTERM), children (hangs with a child in a session of its own).
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

DATA = Path(__file__).resolve().parent / "data"
HANGS_AT = 9
MODEL = b"\x02\x00\x00\x00\x00\x00\x00\x00{}"


def settings(path):
    """The flat part of a YAML file, as text."""
    pairs = (line.split(": ", 1) for line in Path(path).read_text().splitlines() if ": " in line)
    return {name: value for name, value in pairs if not name.startswith(" ")}


def model(directory):
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "adapter_model.safetensors").write_bytes(MODEL)
    (directory / "adapter_config.json").write_text("{}")
    (directory / "training_args.bin").write_bytes(b"pickle")
    (directory / "all_results.json").write_text("{}")


def checkpoint(output, step, history):
    state = json.loads((DATA / "llama_factory_trainer_state.json").read_text())
    model(output / f"checkpoint-{step}")
    state |= {"global_step": step, "log_history": history}
    (output / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps(state))


def hang(how):
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if how == "children":
        code = "import signal; signal.pause()"
        subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    Path("hanging").write_text(str(os.getpid()))
    while True:
        signal.pause()


def main():
    arguments = sys.argv[1:]
    how = arguments[arguments.index("--ends") + 1] if "--ends" in arguments else "well"
    config = settings(arguments[arguments.index("train") + 1])
    output = Path(config["output_dir"])
    output.mkdir(exist_ok=True)
    Path("environment.json").write_text(json.dumps(dict(os.environ)))
    report = os.environ.get("FTPORTAL_AXOLOTL_REPORT")
    name = "axolotl_report.jsonl" if report else "llama_factory_trainer_log.jsonl"
    log = Path(report) if report else output / "trainer_log.jsonl"
    resumed = int(config.get("resume_from_checkpoint", "-0").rsplit("-", 1)[1])
    print("***** Running training *****", flush=True)
    history = []
    for line in (DATA / name).read_text().splitlines():
        told = json.loads(line)
        step = told.get("current_steps", told.get("step"))
        if step <= resumed and resumed:
            continue
        if step == HANGS_AT and how in ("hang", "stubborn", "children"):
            hang(how)
        with log.open("a") as stream:
            if how == "garbage":
                stream.write('not json\n[1]\n{"current_steps": "x", "loss": []}\n{"step": null}\n\xff\n')
            broken = how == "nan" and step == 3
            stream.write((json.dumps(told | {"loss": float("nan")}) if broken else line) + "\n")
        if "eval_loss" in told and step:
            history.append({"step": step, "eval_loss": told["eval_loss"]})
            checkpoint(output, step, history)
    end(how, output)


def end(how, output):
    if how == "crash":
        raise ValueError("Template nosuch does not exist.")
    if how == "memory":
        print("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", file=sys.stderr)
        sys.exit(1)
    if how == "nan":
        hang(how)
    if how == "empty":
        for file in output.rglob("*.safetensors"):
            file.unlink()
        return
    model(output)


if __name__ == "__main__":
    main()
