"""What `python -m cli up` starts exists, and every setting that it hands over is one."""

import importlib
import importlib.util
from pathlib import Path

import pytest
from rich.console import Console

from cli.folder import DataFolder
from cli.processes import PROCESSES, SANDBOX_PROCESS, ProcessSpec
from cli.up import Stack
from wiring.settings import PREFIX, LocalSettings, Settings

ROOT = Path(__file__).parents[2]
FOR_THE_SANDBOX = {"OPMS_SANDBOX_KEYS", "OPMS_SANDBOX_MERCHANTS"}


@pytest.mark.parametrize("spec", [SANDBOX_PROCESS, *PROCESSES], ids=lambda spec: spec.name)
def test_a_process_runs_something_that_exists(spec: ProcessSpec) -> None:
    if spec.words[0] == "-m":
        assert importlib.util.find_spec(f"{spec.words[1]}.__main__") is not None
    else:
        assert (ROOT / spec.words[0]).is_file()


def test_the_workers_have_every_role_once() -> None:
    roles = [role for spec in PROCESSES if spec.words[0] == "worker.py" for role in spec.words[1:]]
    assert sorted(roles) == sorted(importlib.import_module("worker").ROLES)


def test_the_processes_are_handed_settings_that_exist(tmp_path: Path) -> None:
    stack = Stack(LocalSettings(data_dir=tmp_path), DataFolder(tmp_path), Console(quiet=True))
    handed = set(stack._environment()) - FOR_THE_SANDBOX
    assert handed <= {PREFIX + name.upper() for name in Settings.model_fields}
