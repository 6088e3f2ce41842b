"""The command that an operator names for a tool: what it runs, where its interpreter is, which version it has."""

import os
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

VERSION_SECONDS = 60.0
VERSION_CODE = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"


@dataclass(frozen=True)
class ToolCommand:
    """`program` is what is run first: a tool's own command, or the interpreter that has the tool."""

    program: str
    arguments: tuple[str, ...] = ()

    @classmethod
    def parse(cls, given: str) -> "ToolCommand | None":
        """A command line as a shell splits it; None for an empty one. ValueError where a quote is not closed."""
        words = shlex.split(given)
        return cls(words[0], tuple(words[1:])) if words else None

    @property
    def words(self) -> tuple[str, ...]:
        return (self.program, *self.arguments)

    @property
    def found(self) -> str | None:
        """The file that would run; None if there is none that can be run."""
        return shutil.which(os.path.expanduser(self.program))

    @property
    def is_interpreter(self) -> bool:
        return Path(self.program).name.startswith("python")

    @property
    def interpreter(self) -> str | None:
        """The Python that the tool runs in: the program itself, or the one that its first line names."""
        found = self.found
        if found is None or self.is_interpreter:
            return found
        try:
            with open(found, "rb") as script:
                first = script.readline(1024)
        except OSError:
            return None
        words = first.removeprefix(b"#!").split() if first.startswith(b"#!") else []
        if words and Path(os.fsdecode(words[0])).name.startswith("python"):
            return os.fsdecode(words[0])
        beside = Path(found).parent / "python"
        return str(beside) if beside.is_file() else None

    def starting(self, module: str, *arguments: str) -> tuple[str, ...]:
        """The words that run the tool: `module` where an interpreter is named, else the tool's own command."""
        first = self.found or self.program
        if self.is_interpreter:
            return (first, *self.arguments, "-m", module, *arguments)
        return (first, *self.arguments, *arguments)

    def version(self, package: str) -> str | None:
        """The version of a package where the tool runs; None if it is not there or can't be asked."""
        if self.interpreter is None:
            return None
        try:
            answer = subprocess.run(
                [self.interpreter, "-c", VERSION_CODE, package],
                capture_output=True,
                text=True,
                timeout=VERSION_SECONDS,
                env=tool_environment(),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return answer.stdout.strip() if answer.returncode == 0 else None


# What belongs to this program alone: its secrets, and what would lead another Python to our packages.
OURS = ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def tool_environment(**added: str) -> dict[str, str]:
    """What a tool sees of this process's environment: without this installation's own settings and secrets."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in OURS and not name.startswith("FTPORTAL_")
    }
    return kept | {"PYTHONUNBUFFERED": "1"} | added
