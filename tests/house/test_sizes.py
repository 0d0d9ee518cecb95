"""Files that fit in a head, and no rooms for what has no name."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 400
NAMELESS = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "misc",
    "services",
    "service",
    "base",
    "manager",
    "managers",
}
GENERATED = {"migrations/versions"}


def sources() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


SOURCES = [str(p.relative_to(ROOT)) for p in sources()]


@pytest.mark.parametrize("path", SOURCES)
def test_a_file_is_short_and_has_a_name(path: str) -> None:
    file = Path(path)
    if str(file.parent) not in GENERATED:
        assert len((ROOT / file).read_text().splitlines()) <= LONGEST
    assert file.stem.removeprefix("test_") not in NAMELESS
    assert not NAMELESS & set(file.parts[:-1])


def test_the_rooms_are_looked_at() -> None:
    assert {"domain/order.py", "workflows/order.py", "tests/house/test_sizes.py"} <= set(SOURCES)
