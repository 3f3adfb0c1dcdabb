"""docker/ against the hub itself: commands, settings, secrets, ports and routes are what the CLI and the settings say.

No container engine is needed: the files are read, `prepare.sh` and the image's command are run as they are.
"""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from hub import cli, settings
from hub.app import create_app
from hub.bridge import door
from hub.delivery import runtime
from hub.services import supervisor
from hub.settings import CHECKOUT, SECRETS, Settings, variable

DOCKER = CHECKOUT / "docker"
COMPOSE = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
CADDYFILE = (DOCKER / "Caddyfile").read_text(encoding="utf-8")
README = (DOCKER / "README.md").read_text(encoding="utf-8")
EXAMPLE = (DOCKER / "env.example").read_text(encoding="utf-8")
PROCESSES = supervisor.PROCESSES
OWN = (*PROCESSES, "migrate")
VARIABLES = {variable(name, field): name for name, field in Settings.model_fields.items()}
DEFAULT = re.compile(r"\$\{(\w+):-([^}]*)\}")
Compose = dict[str, Any]


def read(text: str) -> Compose:
    """compose.yaml, with every variable at its default."""
    parsed: Compose = yaml.safe_load(DEFAULT.sub(r"\2", text))
    return parsed


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest)."""
    lines = re.sub(r"\\\n", " ", (DOCKER / "Dockerfile").read_text(encoding="utf-8")).splitlines()
    return [(line.split()[0], line.partition(" ")[2]) for line in lines if line.strip() and not line.startswith("#")]


def rest_of(instruction: str) -> list[str]:
    """What follows each `instruction` of the Dockerfile's last stage."""
    found = instructions()
    last = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return [rest for name, rest in found[last:] if name == instruction]


def image_environment() -> dict[str, str]:
    """What the image sets."""
    return dict(pair.split("=", 1) for rest in rest_of("ENV") for pair in shlex.split(rest))


def is_command(arguments: list[str]) -> bool:
    """Whether the CLI takes these arguments; nothing is run."""
    found: Any = typer.main.get_command(cli.app)
    context = None
    try:
        while hasattr(found, "commands"):
            context = found.make_context(found.name or "knutpunkt", list(arguments), parent=context)
            _, found, arguments = found.resolve_command(context, [*context._protected_args, *context.args])
        found.make_context(found.name, list(arguments), parent=context)
    except typer.TyperException:
        return False
    return True


def calls(compose: Compose) -> Iterator[tuple[str, list[str]]]:
    """Every call of the hub's command: (service, arguments)."""
    for name in OWN:
        yield name, compose["services"][name]["command"]
        test = compose["services"][name]["healthcheck"].get("test", [])
        if test:
            assert test[:2] == ["CMD", "knutpunkt"]
            yield name, test[2:]


def wrong(compose: Compose) -> list[str]:
    """The services whose command or health check the CLI does not know."""
    return [name for name, arguments in calls(compose) if not is_command(arguments)]


@pytest.fixture
def compose() -> Compose:
    return read(COMPOSE)


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """A copy of docker/ in which prepare.sh has been run."""
    for name in ("prepare.sh", "env.example"):
        shutil.copy(DOCKER / name, tmp_path)
    subprocess.run(["sh", tmp_path / "prepare.sh"], check=True)
    return tmp_path


def test_every_command_is_one_of_the_cli(compose: Compose) -> None:
    assert wrong(compose) == []


@pytest.mark.parametrize(
    ("right", "misspelt", "service"),
    [
        ("command: [worker]", "command: [wroker]", "worker"),
        ("command: [migrate]", "command: [migrate, --now]", "migrate"),
        ("knutpunkt, health, beat]", "knutpunkt, heath, beat]", "beat"),
        ("knutpunkt, health, bridge]", "knutpunkt, health, brigde]", "bridge"),
    ],
)
def test_a_misspelt_command_is_found(right: str, misspelt: str, service: str) -> None:
    assert COMPOSE.count(right) == 1
    assert wrong(read(COMPOSE.replace(right, misspelt))) == [service]


def test_each_process_runs_itself_and_is_asked_for_itself(compose: Compose) -> None:
    assert set(compose["services"]) == {*OWN, "front", "postgres", "redis"}
    for name in PROCESSES:
        service = compose["services"][name]
        assert (service["command"], service["healthcheck"]["test"]) == ([name], ["CMD", "knutpunkt", "health", name])


def test_how_many_there_are(compose: Compose) -> None:
    counts = {name: compose["services"][name]["deploy"]["replicas"] for name in PROCESSES}
    assert counts == {"api": 2, "worker": 2, "beat": 1, "bridge": 1}


def test_the_image_has_the_command() -> None:
    assert [json.loads(rest) for rest in rest_of("ENTRYPOINT")] == [["knutpunkt"]]
    (arguments,) = (json.loads(rest) for rest in rest_of("CMD"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(CHECKOUT)}
    ended = subprocess.run(
        ["sh", DOCKER / "knutpunkt", *arguments], env=environment, cwd="/", capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "worker" in ended.stdout


def test_the_image_is_made_of_what_the_build_may_see() -> None:
    allowed = [
        line[1:]
        for line in (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    copies = [rest.split() for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    sources = {source for words in copies for source in words[:-1] if not source.startswith("--")}
    assert sources == set(allowed)
    assert all((CHECKOUT / source).exists() for source in sources)


def test_the_image_installs_what_the_project_names() -> None:
    (sync,) = (rest for name, rest in instructions() if name == "RUN" and "uv sync" in rest)
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(re.findall(r"--extra (\S+)", sync)) == set(project["optional-dependencies"])
    left_out = re.findall(r"--no-install-package (\S+)", sync)
    assert all(any(line.startswith(name) for line in project["dependencies"]) for name in left_out)
    assert len(left_out) == 2


def test_the_image_runs_as_nobody_special(compose: Compose) -> None:
    (user,) = rest_of("USER")
    assert all(int(number) > 0 for number in user.split(":"))
    for name in OWN:
        service = compose["services"][name]
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert not {"user", "privileged", "cap_add"} & set(service)
    assert image_environment()["HUB_DATA"] in compose["services"]["beat"]["tmpfs"]


def test_every_variable_is_a_setting_and_every_setting_is_decided(compose: Compose) -> None:
    image = {name for name in image_environment() if name.startswith("HUB_")}
    given = set(compose["services"]["api"]["environment"])
    files = {name.removesuffix("_FILE") for name in given if name.endswith("_FILE")}
    plain = {name for name in given if not name.endswith("_FILE")}
    assert files <= {name for name, field in VARIABLES.items() if field in SECRETS}
    assert image | plain <= set(VARIABLES)
    assert set(VARIABLES) - image - files - plain == {"HUB_PORT", "HUB_BRIDGE_PORT"}  # their defaults are meant
    assert all(set(compose["services"][name]["environment"]) == given for name in OWN)


def test_what_the_operator_may_set_stands_in_the_example(compose: Compose) -> None:
    passed_on = {name for name, value in compose["services"]["api"]["environment"].items() if value is None}
    offered = dict(re.findall(r"^#?(\w+)=(.*)$", EXAMPLE, re.MULTILINE))
    assert {name for name in offered if name.startswith("HUB_")} == passed_on
    defaults = dict(re.findall(r"^#(HUB_\w+)=(.*)$", settings.env_example(), re.MULTILINE))
    assert {name: offered[name] for name in passed_on} == {name: defaults[name] for name in passed_on}
    asked = {name for name, _ in DEFAULT.findall(COMPOSE)}
    assert asked | {"COMPOSE_PROJECT_NAME"} == set(offered) - passed_on


def test_a_variable_has_the_same_default_everywhere() -> None:
    defaults: dict[str, set[str]] = {}
    for name, default in [*DEFAULT.findall(COMPOSE), *re.findall(r"\{\$(\w+):([^}]*)\}", CADDYFILE)]:
        defaults.setdefault(name, set()).add(default)
    assert all(len(found) == 1 for found in defaults.values()), defaults
    assert set(re.findall(r"\{\$(\w+)", CADDYFILE)) == set(read(COMPOSE)["services"]["front"]["environment"])


def test_the_settings_of_the_containers_are_a_hub(
    compose: Compose, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = image_environment() | compose["services"]["api"]["environment"]
    for name in VARIABLES.keys() | {f"{name}_FILE" for name in VARIABLES}:
        value = environment.get(name)
        if value is not None:
            monkeypatch.setenv(name, value.replace("/run/secrets", str(prepared / "secrets")))
    settings._load.cache_clear()
    loaded = Settings.load()
    loaded.require("database_url", "broker", "secret_key", "api_token")
    database, owner = urlsplit(loaded.database_url), compose["services"]["postgres"]["environment"]
    assert (database.hostname, database.username, database.path[1:]) == (
        "postgres",
        owner["POSTGRES_USER"],
        owner["POSTGRES_DB"],
    )
    assert database.password == (prepared / "secrets" / "postgres_password").read_text()
    assert urlsplit(loaded.broker).hostname == "redis"
    assert loaded.api_url == f"http://api:{loaded.port}"
    assert (loaded.host, loaded.bridge_host, loaded.log_format) == ("0.0.0.0", "0.0.0.0", "json")
    assert ip_network(compose["networks"]["edge"]["ipam"]["config"][0]["subnet"]) in loaded.trusted_proxies


def test_the_secrets_are_those_that_are_made_and_explained(compose: Compose, prepared: Path) -> None:
    made = {file.name for file in (prepared / "secrets").iterdir()}
    assert {name: f"./secrets/{name}" for name in made} == {
        name: secret["file"] for name, secret in compose["secrets"].items()
    }
    assert (
        set(re.findall(r"^\| `(\w+)` \| ", README.split("## Secrets")[1].split("## Upgrade")[0], re.MULTILINE)) == made
    )
    for service in compose["services"].values():
        named = {value for value in service.get("environment", {}).values() if str(value).startswith("/run/secrets/")}
        assert {Path(value).name for value in named} == set(service.get("secrets", []))
        assert set(service.get("secrets", [])) <= made


def test_secrets_are_closed_to_others_and_never_replaced(prepared: Path) -> None:
    folder = prepared / "secrets"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o444}
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    (folder / "api_token").unlink()
    (prepared / ".env").write_text("DOMAIN=hub.example\n")
    subprocess.run(["sh", prepared / "prepare.sh"], check=True)
    after = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"api_token"}
    assert (prepared / ".env").read_text() == "DOMAIN=hub.example\n"


def test_what_is_private_stays_out_of_git() -> None:
    ignored = (DOCKER / ".gitignore").read_text(encoding="utf-8").split()
    assert {"/secrets/", "/.env"} <= set(ignored)


def test_only_the_front_can_be_reached(compose: Compose) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert published == {"front": ["80:80", "443:443"]}
    assert compose["networks"]["inside"]["internal"]
    for name in ("postgres", "redis"):
        assert compose["services"][name]["networks"] == ["inside"]


def test_the_front_leads_to_the_ports_of_the_processes() -> None:
    ports = {name: Settings.model_fields[name].default for name in ("port", "bridge_port")}
    assert rest_of("EXPOSE") == [f"{ports['port']} {ports['bridge_port']}"]
    (chargers, bridge, bridge_port), (_, api, api_port) = re.findall(
        r"handle (\S*) ?\{\s+reverse_proxy \{\s+dynamic a (\w+) (\d+)", CADDYFILE
    )
    assert (bridge, int(bridge_port)) == ("bridge", ports["bridge_port"])
    assert (api, int(api_port)) == ("api", ports["port"])
    assert chargers == f"{door.PATH}*"


def test_what_is_asked_for_health_is_a_route() -> None:
    asked = re.findall(r'"(/\w+z)"', (CHECKOUT / "hub" / "cli" / "health.py").read_text(encoding="utf-8"))
    assert asked == ["/readyz", "/livez"]
    assert "/readyz" in {getattr(route, "path", "") for route in create_app(Settings()).routes}


def test_everybody_waits_for_the_schema_and_nobody_for_redis(compose: Compose) -> None:
    for name in PROCESSES:
        assert compose["services"][name]["depends_on"] == {
            "migrate": {"condition": "service_completed_successfully"},
            "redis": {"condition": "service_started"},
        }
    assert compose["services"]["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert "noeviction" in compose["services"]["redis"]["command"]


def test_everybody_is_given_the_time_to_finish(compose: Compose) -> None:
    needed = max(sum(seconds for _, seconds in supervisor.STOP), runtime.STOP_TIME)
    for name in PROCESSES:
        assert int(compose["services"][name]["stop_grace_period"].removesuffix("s")) >= 2 * needed


def test_the_commands_that_the_readme_shows_exist() -> None:
    shown = re.findall(r"(?:exec (?:-T )?api |`)knutpunkt ([a-z][a-z ]*[a-z](?: -)?)", README)
    assert len(shown) >= 4
    assert [line for line in shown if not is_command(line.split())] == []
