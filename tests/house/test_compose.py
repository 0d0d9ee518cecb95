"""What docker-compose.yml says of our code is true: commands, roles, settings, ports, and no password in sight."""

import importlib
import importlib.util
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from contracts.queues import SEARCH_ATTRIBUTES
from wiring.embedded_temporal import spelled_type
from wiring.settings import PREFIX, Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
OTHERS = sorted(set(SERVICES) - set(OURS))

ONE_SHOT = {"temporal-schema", "temporal-namespace", "migrate"}

IMAGE_VARIABLES = {
    "postgres": {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD"},
    "temporalio/admin-tools": {
        "SQL_PLUGIN",
        "SQL_HOST",
        "SQL_PORT",
        "SQL_USER",
        "SQL_PASSWORD",
        "TEMPORAL_ADDRESS",
        "TEMPORAL_NAMESPACE",
    },
    "temporalio/server": {
        "DB",
        "DB_PORT",
        "POSTGRES_SEEDS",
        "POSTGRES_USER",
        "POSTGRES_PWD",
        "BIND_ON_IP",
        "DYNAMIC_CONFIG_FILE_PATH",
    },
    "temporalio/ui": {"TEMPORAL_ADDRESS"},
}
"""The variables that the images of others read, as their documentation names them."""

IMAGE_PORTS = {"postgres": 5432, "temporal": 7233, "temporal-ui": 8080}


def port_inside(service: str) -> int:
    """The port that a service listens on inside its container."""
    if service in IMAGE_PORTS:
        return IMAGE_PORTS[service]
    return int(SERVICES[service]["environment"]["OPMS_API_PORT"])


@pytest.mark.parametrize("name", OURS)
def test_a_command_of_ours_runs_something_that_exists(name: str) -> None:
    program, *words = SERVICES[name]["command"]
    assert program == "python"
    if words[0] == "-m":
        assert importlib.util.find_spec(words[1]) is not None
    else:
        assert (ROOT / words[0]).is_file()


@pytest.mark.parametrize("name", [name for name in OURS if name.startswith("worker-")])
def test_a_worker_is_asked_only_for_roles_that_it_knows(name: str) -> None:
    _, script, *roles = SERVICES[name]["command"]
    assert script == "worker.py"
    assert roles
    assert set(roles) <= set(importlib.import_module("worker").ROLES)


def test_every_role_is_somebodys() -> None:
    asked = {role for name in OURS if name.startswith("worker-") for role in SERVICES[name]["command"][2:]}
    assert asked == set(importlib.import_module("worker").ROLES)


@pytest.mark.parametrize("name", OURS)
def test_our_processes_are_given_settings_that_exist_and_all_that_they_need(name: str) -> None:
    given = set(SERVICES[name]["environment"])
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    needed = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if field.is_required()}
    assert needed <= given <= known


@pytest.mark.parametrize("name", OTHERS)
def test_the_images_of_others_are_given_variables_that_they_know(name: str) -> None:
    image = SERVICES[name]["image"].rsplit(":", 1)[0]
    assert set(SERVICES[name].get("environment", {})) <= IMAGE_VARIABLES[image]


@pytest.mark.parametrize("name", OTHERS)
def test_an_image_of_others_is_pinned_to_a_version(name: str) -> None:
    assert re.search(r":\d", SERVICES[name]["image"])


@pytest.mark.parametrize("name", [name for name in SERVICES if "ports" in SERVICES[name]])
def test_a_published_port_is_the_one_listened_on_and_only_on_loopback(name: str) -> None:
    for published in SERVICES[name]["ports"]:
        address, _, inside = published.split(":")
        assert address == "127.0.0.1"
        assert int(inside) == port_inside(name)


@pytest.mark.parametrize("name", OURS)
def test_the_addresses_given_to_us_are_those_of_services_here(name: str) -> None:
    environment = SERVICES[name]["environment"]
    database = urlsplit(re.sub(r"\$\{[^}]*\}", "secret", environment["OPMS_DATABASE_URL"]))
    assert (database.hostname, database.port) == ("postgres", port_inside("postgres"))
    assert environment["OPMS_TEMPORAL_ADDRESS"] == f"temporal:{port_inside('temporal')}"


@pytest.mark.parametrize("name", OURS)
def test_a_health_check_of_ours_asks_the_port_that_it_was_given(name: str) -> None:
    asked = re.findall(r"127\.0\.0\.1:(\d+)/(\w+)", str(SERVICES[name].get("healthcheck", "")))
    environment = SERVICES[name]["environment"]
    served = {"readyz": environment.get("OPMS_API_PORT"), "metrics": environment.get("OPMS_METRICS_PORT")}
    assert all(served[path] == port for port, path in asked)


@pytest.mark.parametrize("name", SERVICES)
def test_what_stays_up_has_a_restart_policy_and_what_others_wait_for_is_known(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"].startswith("on-failure" if name in ONE_SHOT else "unless-stopped")
    for other, wait in service.get("depends_on", {}).items():
        done, healthy = "service_completed_successfully", "service_healthy"
        assert wait["condition"] == (done if other in ONE_SHOT else healthy)
        assert other in ONE_SHOT or "healthcheck" in SERVICES[other]


def test_the_search_attributes_are_those_of_the_contracts() -> None:
    made = dict(re.findall(r"(Opms\w+):(\w+)", SERVICES["temporal-namespace"]["command"][0]))
    assert made == {key.name: spelled_type(key) for key in SEARCH_ATTRIBUTES}


def test_no_password_has_a_default() -> None:
    secret = re.compile(r"(\w*(?:PASSWORD|PWD|KEY|SECRET|GATEWAYS)): (.*)")
    values = [value for _, value in secret.findall(TEXT)]
    assert values
    assert all(re.fullmatch(r"\$\{\w+:\?[^}]+\}", value) for value in values)
    assert re.search(r"://\w+:(?!\$\{\w+:\?)", TEXT) is None


def test_every_variable_of_the_file_is_in_the_example() -> None:
    documented = set(re.findall(r"^([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    used = set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT))
    assert used <= documented
