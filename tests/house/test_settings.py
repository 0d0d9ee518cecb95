"""The settings, their example file and their error messages agree."""

import re
from pathlib import Path

import pytest

from wiring.settings import PREFIX, BadSettings, Settings, settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
FOR_COMPOSE_ONLY = {"POSTGRES_PASSWORD"}


def documented() -> dict[str, tuple[str, str]]:
    """Each variable of the example, with the comment above it and its value."""
    found = re.findall(r"^# (.+)\n([A-Z_]+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    return {name: (comment, value.strip("'")) for comment, name, value in found}


def test_the_example_has_every_setting_and_no_other() -> None:
    assert set(documented()) - FOR_COMPOSE_ONLY == {PREFIX + name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_example_says_what_the_setting_says(name: str) -> None:
    comment, _ = documented()[PREFIX + name.upper()]
    assert comment.startswith(str(Settings.model_fields[name].description))


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if not field.is_required()])
def test_the_example_shows_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPMS_DATABASE_URL", "postgresql://opms@db/opms")
    monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    default = getattr(settings(), name)
    monkeypatch.setenv(PREFIX + name.upper(), documented()[PREFIX + name.upper()][1])
    assert getattr(settings(), name) == default


def test_no_secret_has_a_default() -> None:
    assert Settings.model_fields["database_url"].is_required()
    assert documented()["POSTGRES_PASSWORD"][1] == ""


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("OPMS_DATABASE_URL", "", "OPMS_DATABASE_URL is missing; set it as .env.example shows."),
        ("OPMS_API_PORT", "many", "OPMS_API_PORT is wrong: Input should be a valid integer"),
        ("OPMS_GATEWAYS", "{hunter2", "OPMS_GATEWAYS is not JSON; see .env.example."),
        ("OPMS_GATEWAYS", '{"a": {"url": "http://pg", "key": "hunter2"}}', "OPMS_GATEWAYS (at a.vendor) is wrong"),
        ("OPMS_LOG_LEVEL", "chatty", "OPMS_LOG_LEVEL is wrong: Input should be 'DEBUG'"),
    ],
)
def test_a_bad_setting_is_one_sentence_that_names_it_without_its_value(
    variable: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPMS_DATABASE_URL", "postgresql://opms:hunter2@db/opms")
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as refused:
        settings()
    assert str(refused.value).startswith(sentence)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_keys_of_gateways_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPMS_DATABASE_URL", "postgresql://opms:hunter2@db/opms")
    monkeypatch.setenv("OPMS_GATEWAYS", '{"a": {"vendor": "sandbox", "url": "http://pg", "key": "hunter2"}}')
    read = settings()
    assert read.gateways["a"].key.get_secret_value() == "hunter2"
    assert "hunter2" not in repr(read)
