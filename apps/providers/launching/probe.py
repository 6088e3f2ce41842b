"""What a tool's environment is: asked of its own interpreter, which knows its packages and its hardware."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from typing import Any

from apps.providers.launching.command import ToolCommand, tool_environment

PROBE_SECONDS = 300.0
# Runs in the tool's interpreter, whatever version that is.
CODE = """
import importlib.metadata, json, platform, sys
packages = {}
for name in sys.argv[1:]:
    try:
        packages[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
found = {"packages": packages, "python": platform.python_version()}
try:
    import torch
    cuda = torch.cuda.is_available()
    found["threads"] = torch.get_num_threads()
    found["device"] = "cuda" if cuda else "mps" if torch.backends.mps.is_available() else "cpu"
    found["device_name"] = torch.cuda.get_device_name() if cuda else platform.processor() or platform.machine()
    found["devices"] = torch.cuda.device_count() if cuda else 1
    found["bfloat16"] = cuda and torch.cuda.is_bf16_supported()
except Exception as error:
    found["torch_error"] = str(error)
print("\\n" + json.dumps(found))
"""
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "safetensors")


def probe(command: ToolCommand, package: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Packages and hardware as the tool sees them; what can't be learned is left out."""
    found: dict[str, Any] = {"packages": {}, "platform": platform.platform()}
    if command.interpreter is None:
        return found
    try:
        answer = subprocess.run(
            [command.interpreter, "-c", CODE, package, *PACKAGES],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
            env=tool_environment(**environment),
            cwd=os.sep,
            check=False,
        )
        told = json.loads(answer.stdout.strip().splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return found
    return found | told if isinstance(told, dict) else found
