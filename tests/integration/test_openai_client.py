"""The example script, unchanged, against the whole product: a real upload, a real training, real answers."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from openai import OpenAI

from tests.ftportal.running import ROOT
from tests.integration.rows import distinct_tickets, jsonl
from tests.integration.stack import Together

pytestmark = pytest.mark.integration
TRAINING_SECONDS = 420.0


def new_key(stack: Together) -> str:
    visitor = stack.visitor()
    workspace = visitor.get("/").path.split("/p/")[0].rstrip("/")
    page = visitor.submit(visitor.get(f"{workspace}/settings/keys/"), "Create key", name="script")
    found = re.search(r"ftp-[\w-]{30,}", page.html)
    assert found, page.text[:1000]
    return found[0]


def test_the_example_script_trains_and_asks_a_model(together: Together, tmp_path: Path):
    rows, validation = tmp_path / "rows.jsonl", tmp_path / "validation.jsonl"
    tickets = distinct_tickets(60)
    rows.write_bytes(jsonl(tickets[:48]))
    validation.write_bytes(jsonl(tickets[48:]))
    access = {"OPENAI_BASE_URL": f"{together.url}/v1", "OPENAI_API_KEY": new_key(together)}
    script = ROOT / "examples" / "openai_fine_tune.py"

    done = subprocess.run(
        [sys.executable, str(script), str(rows), "--validation", str(validation), "--epochs", "1"],
        env={**os.environ, **access},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TRAINING_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-2000:]
    said = done.stdout
    assert "job ftjob-" in said
    assert re.search(r"^event New fine-tuned model created: ft:ftportal-tiny:", said, re.MULTILINE), said
    assert re.search(r"^event Step \d+/\d+: training loss=\d", said, re.MULTILINE), said
    assert "result step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy" in said
    answers = [
        re.search(rf"^{way} ('.*?'|\".*?\")", said, re.MULTILINE) for way in ("answer", "streamed", "async")
    ]
    texts = {answer[1] for answer in answers if answer}
    assert len(texts) == 1, said
    assert len(texts.pop()) > 2

    with OpenAI(base_url=access["OPENAI_BASE_URL"], api_key=access["OPENAI_API_KEY"]) as client:
        checkpoint = re.search(r"^checkpoint \d+ (\S+)$", said, re.MULTILINE)
        assert checkpoint, said
        reply = client.chat.completions.create(
            model=checkpoint[1], messages=[{"role": "user", "content": "Hello"}], max_tokens=5
        )
        assert reply.usage is not None
        assert 1 <= reply.usage.completion_tokens <= 5

    job = together.row("SELECT * FROM jobs_trainingjob WHERE name = 'example'")
    assert job["state"] == "succeeded"
    version = together.row("SELECT * FROM datasets_version WHERE id = %s", job["version_id"])
    assert (version["train_count"], version["validation_count"]) == (48, 12)
