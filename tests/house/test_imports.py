"""The contracts of import-linter name what is there: a new vendor is one of those who do not know each other."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_gateway_is_among_those_who_do_not_know_each_other() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (independent,) = [one["modules"] for one in settings["contracts"] if one["type"] == "independence"]
    assert independent == sorted(f"gateways.{path.parent.name}" for path in (ROOT / "gateways").glob("*/__init__.py"))
