"""The files of a wide deployment, read as text, and that they are what `make test-wide` runs."""

import json
import re
from pathlib import Path

import yaml
from dotenv import dotenv_values

WIDE = Path(__file__).parents[2] / "deploy" / "wide"
COMPOSE = WIDE / "compose.yaml"
SECRETS = WIDE / "secrets.example.env"
SETTINGS = dotenv_values(WIDE / "airflow.env", interpolate=False)
"""What a deployment runs with."""
WORKER_SETTINGS = {
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__CELERY__BROKER_URL",
    "AIRFLOW__CELERY__RESULT_BACKEND",
    "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER",
}
"""What a worker is given of a deployment's own settings."""
BRAINS = ("scheduler", "apiServer", "dagProcessor", "triggerer", "migrateDatabaseJob")
KEYS = {
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
}


def services() -> dict:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def values() -> dict:
    return yaml.safe_load((WIDE / "helm-values.yaml").read_text())


def test_compose_demands_the_secrets_and_the_example_names_them_all():
    demanded = re.findall(r"\$\{(\w+)(:\?)?", COMPOSE.read_text())
    assert {name for name, _ in demanded} == dotenv_values(SECRETS).keys()
    assert {mark for _, mark in demanded} == {":?"}


def test_no_secret_stands_in_the_files():
    assert set(dotenv_values(SECRETS).values()) == {""}
    for name, service in services().items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|CONN|AUTH$|BROKER|BACKEND", key):
                assert "${" in value, f"{name}: {key}"
    assert not {"fernetKey", "jwtSecret", "apiSecretKey", "data"} & values().keys()


def test_only_this_machine_reaches_the_containers():
    ports = [port for service in services().values() for port in service.get("ports", [])]
    assert ports == ["127.0.0.1:8080:8080"]


def test_a_worker_of_compose_has_the_settings_of_the_tested_ones_and_reaches_no_database():
    worker = services()["worker"]
    variables = worker["environment"].keys() | SETTINGS.keys()
    assert {name for name in variables if name.startswith("AIRFLOW__")} <= WORKER_SETTINGS | SETTINGS.keys()
    assert "database" not in worker["networks"]
    assert worker["deploy"]["replicas"] == 2
    assert services()["postgres"]["networks"] == ["database"]
    for name in ("api-server", "scheduler", "dag-processor", "triggerer", "migrate"):
        assert services()[name]["environment"].keys() >= KEYS, name


def test_helms_environment_is_that_of_airflow_env():
    given = {one["name"]: one["value"] for one in values()["env"]}
    assert given.items() >= SETTINGS.items()
    own = {name for name in given if name.startswith("AIRFLOW__")} - SETTINGS.keys()
    assert own == {"AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER"}


def test_with_helm_the_keys_are_with_every_pod_but_the_workers():
    chart = values()
    assert not any(chart["enableBuiltInSecretEnvVars"].values())
    assert {one["envName"] for one in chart["secret"]} <= WORKER_SETTINGS
    for name in BRAINS:
        assert {one["name"].removesuffix("_CMD") for one in chart[name]["env"]} == KEYS, name
        assert chart[name]["extraVolumes"][0]["secret"]["secretName"] == "twitter-airflow"
        [mount] = chart[name]["extraVolumeMounts"]
        assert all(mount["mountPath"] in one["value"] for one in chart[name]["env"])
    assert not {"env", "extraVolumes", "extraVolumeMounts"} & chart["workers"].keys()
    # A container of its own, which connects to the database with the pod's settings.
    for name in ("workers", *BRAINS[:-1]):
        assert chart[name]["waitForMigrations"] == {"enabled": False}, name


def test_airflow_takes_each_of_the_keys_from_a_command():
    from airflow.configuration import conf

    sensitive = {f"AIRFLOW__{section}__{key}".upper() for section, key in conf.sensitive_config_values}
    assert sensitive >= KEYS


def test_airflow_knows_every_setting_of_the_file():
    import airflow.jobs.scheduler_job_runner
    from airflow.configuration import conf

    scheduler = Path(airflow.jobs.scheduler_job_runner.__file__).read_text()
    celerys = {"CELERY", "CELERY_BROKER_TRANSPORT_OPTIONS"}
    for name in SETTINGS:
        _, section, key = name.split("__")
        known = conf.has_option(section.lower(), key.lower())
        # One that is read and not documented.
        assert section in celerys or known or f'key="{key.lower()}"' in scheduler, name
    assert json.loads(SETTINGS["AIRFLOW__CELERY__EXTRA_CELERY_CONFIG"]) == {"worker_disable_prefetch": True}


def test_no_slot_of_the_scheduler_is_without_one_of_a_worker():
    slots = int(SETTINGS["AIRFLOW__CELERY__WORKER_CONCURRENCY"]) * services()["worker"]["deploy"]["replicas"]
    assert int(SETTINGS["AIRFLOW__CORE__PARALLELISM"]) == slots
    assert values()["workers"]["replicas"] == services()["worker"]["deploy"]["replicas"]


def test_redis_hands_out_nothing_twice_while_a_task_may_still_run():
    from dags.twitter_dag import twitter

    visible = int(SETTINGS["AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT"])
    assert all(task.execution_timeout.total_seconds() < visible for task in twitter().tasks)


def test_an_outage_of_all_workers_is_retried_like_one_of_x():
    from include.twitter.retry import LONGEST_DELAY, RETRIES

    environment = SETTINGS
    waits = int(environment["AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES"])
    seconds = waits * int(environment["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"])
    assert seconds > 9 * 3600
    assert RETRIES * LONGEST_DELAY.total_seconds() > 9 * 3600
