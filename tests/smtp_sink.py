"""A mail server on loopback that records the mails it receives."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from local.stack import free_ports


@dataclass
class SmtpSink:
    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    """To whom, and what."""
    connection: dict[str, Any] = field(default_factory=dict)
    """Airflow's, that leads here."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - it asks for that name
        self.mails.append((envelope.rcpt_tos, message_from_bytes(envelope.content, policy=default)))
        return "250 Kept"


@contextmanager
def mail_server() -> Iterator[SmtpSink]:
    sink = SmtpSink()
    [port] = free_ports(1)
    server = Controller(sink, hostname="127.0.0.1", port=port, ready_timeout=60)
    server.start()
    extra = {"from_email": "airflow@acme.example", "disable_ssl": True, "disable_tls": True}
    sink.connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra}
    try:
        yield sink
    finally:
        server.stop()
