"""Fine-tune a model with the openai client, then ask it. Nothing here knows ftportal.

    OPENAI_BASE_URL=http://127.0.0.1:8000/v1 OPENAI_API_KEY=… python examples/openai_fine_tune.py rows.jsonl

The rows are chats: {"messages": [{"role": "user", …}, {"role": "assistant", …}]}, ten or more of them; for
--method dpo pairs: {"input": {"messages": […]}, "preferred_output": […], "non_preferred_output": […]}.
"""

import argparse
import asyncio
import json
import sys
import time

from openai import AsyncOpenAI, OpenAI

ENDED = ("succeeded", "failed", "cancelled")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", help="a JSONL file in chat format")
    parser.add_argument("--validation", help="another one, to measure on")
    parser.add_argument("--model", default="ftportal-tiny")
    parser.add_argument("--epochs", default="auto")
    parser.add_argument("--method", choices=("supervised", "dpo"), default="supervised")
    arguments = parser.parse_args()
    client = OpenAI()

    training_file = client.files.create(file=open(arguments.rows, "rb"), purpose="fine-tune")  # noqa: SIM115
    print("file", training_file.id, training_file.bytes, "bytes")
    options = {}
    if arguments.validation:
        with open(arguments.validation, "rb") as rows:
            options["validation_file"] = client.files.create(file=rows, purpose="fine-tune").id
    hyperparameters = {} if arguments.epochs == "auto" else {"n_epochs": int(arguments.epochs)}
    if arguments.method != "supervised":
        options["method"] = {"type": arguments.method, arguments.method: {"hyperparameters": hyperparameters}}
    elif hyperparameters:
        options["hyperparameters"] = hyperparameters

    job = client.fine_tuning.jobs.create(
        training_file=training_file.id, model=arguments.model, suffix="example", **options
    )
    shown = ""
    while job.status not in ENDED:
        time.sleep(1)
        job = client.fine_tuning.jobs.retrieve(job.id)
        if job.status != shown:
            shown = job.status
            print("job", job.id, shown)
    if job.status != "succeeded":
        sys.exit(f"{job.status}: {job.error}")

    for event in client.fine_tuning.jobs.list_events(job.id, limit=10).data:
        print("event", event.message)
    for checkpoint in client.fine_tuning.jobs.checkpoints.list(job.id):
        print("checkpoint", checkpoint.step_number, checkpoint.fine_tuned_model_checkpoint)
    for result in job.result_files:
        print("result", client.files.content(result).text.splitlines()[0])

    with open(arguments.rows, encoding="utf-8") as rows:
        row = json.loads(rows.readline())
    conversation = row["messages"] if "messages" in row else row["input"]["messages"]
    question = [message for message in conversation if message["role"] != "assistant"]
    asked = {"model": job.fine_tuned_model, "messages": question, "max_tokens": 40, "temperature": 0}

    answer = client.chat.completions.create(**asked)
    print("answer", repr(answer.choices[0].message.content), answer.usage.total_tokens, "tokens")
    streamed = "".join(
        chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**asked, stream=True)
    )
    print("streamed", repr(streamed))
    print("async", repr(asyncio.run(ask_async(asked))))


async def ask_async(asked: dict) -> str:
    async with AsyncOpenAI() as client:
        stream = await client.chat.completions.create(**asked, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


if __name__ == "__main__":
    main()
