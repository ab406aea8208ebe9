"""What the host installs and sets is what was tested, and what its Airflow knows."""

import re

from airflow.configuration import conf

from local.environment import PROJECT

HOST = PROJECT / "deploy" / "host"


def locked(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", (PROJECT / lock).read_text(), re.MULTILINE))


def test_the_host_installs_the_versions_that_are_tested() -> None:
    host, tested = locked("deploy/host/requirements.lock"), locked("requirements.lock")
    shared = host.keys() & tested.keys()
    assert {"apache-airflow-core", "pandas", "pyarrow", "tweepy", "uv"} <= shared
    assert {name: host[name] for name in shared} == {name: tested[name] for name in shared}
    assert host.keys() - shared >= {"apache-airflow-providers-fab", "asyncpg", "psycopg2-binary"}


def test_every_package_of_the_host_is_pinned_by_hash() -> None:
    packages = re.split(r"\n(?=[a-z0-9])", (HOST / "requirements.lock").read_text())[1:]
    assert packages
    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []


def test_airflow_knows_every_setting_of_the_host() -> None:
    """The unknown ones it would pass over in silence. The logins' own are checked on the rehearsed host."""
    asked = re.findall(r"^AIRFLOW__([A-Z_]+?)__([A-Z_]+)=", (HOST / "airflow.env").read_text(), re.MULTILINE)
    known = conf.configuration_description
    assert len(asked) > 10
    assert [(part, name) for part, name in asked if name.lower() not in known[part.lower()]["options"]] == []


def test_the_host_has_no_default_password_and_no_key() -> None:
    settings = (HOST / "airflow.env").read_text()
    assert "auth_manager.fab_auth_manager.FabAuthManager" in settings
    assert not re.search(r"PASSWORD|FERNET|SECRET_KEY|JWT_SECRET|AWS_ACCESS", settings)
