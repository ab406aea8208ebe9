"""What the host installs and sets is what was tested, and what its Airflow knows."""

import re

from airflow.configuration import conf

from local.environment import PROJECT

HOST = PROJECT / "deploy" / "host"


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
