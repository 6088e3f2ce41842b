"""The files that install, start and describe ftportal agree with each other."""

import importlib.util
import json
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from ftportal.programs import NAMES, QUEUES
from tests.ftportal.running import ROOT

TEXT = {".py", ".yml", ".sh", ".md", ".toml", ""}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def load_tool(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_browser_packages_are_exact_and_locked_without_addresses():
    wanted = json.loads(read("package.json"))["dependencies"]
    lock = json.loads(read("package-lock.json"))["packages"]
    for name, version in wanted.items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version), name
        assert lock[f"node_modules/{name}"]["version"] == version
    assert all(entry["integrity"].startswith("sha512-") for path, entry in lock.items() if path)
    assert not [path for path, entry in lock.items() if "resolved" in entry]


@pytest.mark.parametrize("name", ["lock.txt", "runtime.txt"])
def test_python_packages_are_pinned_with_hashes_and_no_index(name: str):
    lines = read(f"requirements/{name}").splitlines()
    requirements = [line for line in lines if line and line[0] not in " #"]
    assert all(re.fullmatch(r"[a-z0-9.-]+==\S+( ; .+)? \\", line) for line in requirements)
    assert not [line for line in requirements if line.startswith(("torch==", "nvidia-"))]
    assert sum("--hash=sha256:" in line for line in lines) >= len(requirements)
    assert not [line for line in lines if line.startswith("-") or "://" in line]


def test_what_runs_has_the_versions_that_were_tested():
    def versions(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", read(f"requirements/{name}"), flags=re.MULTILINE))

    tested, run = versions("lock.txt"), versions("runtime.txt")
    assert run.items() <= tested.items()
    assert not {"pytest", "mypy", "playwright"} & run.keys()


def test_compose_runs_every_program_once():
    services = yaml.safe_load(read("docker-compose.yml"))["services"]
    commands = [service["command"][1:] for service in services.values() if service.get("image") == "ftportal"]
    expected = [["run", name] for name in NAMES if name not in QUEUES]
    expected += [["worker", queue] for queue in QUEUES] + [["manage", "migrate", "--noinput"]]
    assert sorted(commands) == sorted(expected)
    assert all("healthcheck" in service for name, service in services.items() if name != "migrate")


def test_every_variable_that_is_read_is_documented():
    code = [*(ROOT / "ftportal").rglob("*.py"), *(ROOT / "apps").rglob("*.py"), ROOT / "tools" / "check.py"]
    calls = (
        r"(?:env_(?:bool|int|list)\(|_given\(|_url\(environ, |_secret\(environ, |environ(?:\.get\(|\[))\s*"
    )
    read_names = {
        name
        for path in code
        for name in re.findall(calls + r"\"([A-Z][A-Z_]+)\"", path.read_text(encoding="utf-8"))
        if name.startswith("FTPORTAL_") or name.endswith("_URL")
    }
    assert {"DATABASE_URL", "FTPORTAL_PORT", "FTPORTAL_DEBUG"} <= read_names
    documented = set(re.findall(r"`([A-Z][A-Z_]+)`", read("docs/operations.md")))
    # Set by ftportal itself for programs that it starts.
    internal = {"FTPORTAL_SUPERVISOR_PID", "FTPORTAL_AXOLOTL_REPORT"}
    assert read_names - internal - documented == set()


def test_every_page_of_the_documentation_can_be_reached_and_leads_somewhere():
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            linked = (page.parent / target).resolve()
            assert linked.exists(), f"{page.relative_to(ROOT)} names {target}"
            if linked.suffix == ".md" and linked not in seen:
                waiting.append(linked)
    assert set((ROOT / "docs").rglob("*.md")) <= seen


def test_scripts_are_valid_shell():
    scripts = [*(ROOT / "tools").glob("*.sh"), ROOT / ".ci" / "run"]
    assert len(scripts) >= 5
    for script in scripts:
        checked = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr
        assert script.stat().st_mode & 0o111, f"{script} cannot be run"


def test_a_report_counts_errors_and_skips_as_failed(tmp_path: Path):
    check = load_tool("check")
    report = tmp_path / "report.xml"
    # The attributes of a testsuite as pytest's junitxml writes them.
    report.write_text('<testsuites><testsuite errors="1" failures="2" skipped="3" tests="10"/></testsuites>')
    assert check.counts(report) == (4, 6)
    report.write_text("")
    assert check.counts(report) == (0, 0)


def test_a_stage_that_broke_without_a_report_is_a_failure(capfd: pytest.CaptureFixture[str]):
    check = load_tool("check")
    stage = check.Stage(name="x", group="tests", command=[*check.PYTEST, "no_such_file.py"])
    outcome = check.run(stage, {"PATH": "/nonexistent", "PYTHONPATH": str(ROOT)})
    assert (outcome.passed, outcome.failed) == (0, 1)
    assert check.summarise([outcome]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "0 passed, 1 failed"
