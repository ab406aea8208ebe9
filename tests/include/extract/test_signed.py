"""The storage beside X, over real HTTP on loopback."""

import gzip
import io

import pytest

from include.twitter.errors import Outage, UnexpectedAnswer
from include.twitter.extract import signed
from tests.include.wire import dripping, listening


@pytest.fixture
def wire(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with listening() as heard:
        yield heard


def test_a_file_comes_and_goes_whole(wire):
    wire.say(200, b"answers")
    wire.say(200, b"")
    file = io.BytesIO()
    signed.download(f"{wire.host}/answer?signature=s3cret", file, 100)
    signed.upload(f"{wire.host}/ids?signature=s3cret", io.BytesIO(b"1\n2\n"))
    assert (file.getvalue(), wire.heard[1].body) == (b"answers", "1\n2\n")


def test_a_netrc_gives_the_storage_no_credentials(wire, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login stranger password stranger-s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    wire.say(200, b"answers")
    wire.say(302, b"", location=f"{wire.host}/elsewhere")
    signed.download(f"{wire.host}/answer", io.BytesIO(), 100)
    with pytest.raises(Outage):
        signed.upload(f"{wire.host}/ids", io.BytesIO(b"1\n"))
    assert [heard.headers.get("authorization") for heard in wire.heard] == [None, None]


def test_an_answer_is_decompressed_only_up_to_its_limit(wire):
    wire.say(200, gzip.compress(bytes(10_000_000)), content_encoding="gzip")
    file = io.BytesIO()
    with pytest.raises(UnexpectedAnswer, match="more than 1000 bytes"):
        signed.download(f"{wire.host}/answer?signature=s3cret", file, 1000)
    assert file.tell() <= 1000 + signed.PART


@pytest.mark.parametrize("ask", ["GET", "PUT"])
def test_a_response_that_comes_byte_by_byte_is_cut(monkeypatch, ask):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(signed, "MOST_SECONDS", 0.2)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    with dripping(answer, b" ") as host, pytest.raises(Outage, match=r"more than 0\.2 s") as raised:
        if ask == "GET":
            signed.download(f"{host}/answer?signature=s3cret", io.BytesIO(), 1 << 20)
        else:
            signed.upload(f"{host}/ids?signature=s3cret", io.BytesIO(b"1\n"))
    assert "s3cret" not in str(raised.value)


def test_an_upload_that_is_taken_slowly_is_cut(wire, monkeypatch):
    monkeypatch.setattr(signed, "MOST_SECONDS", 0)
    with pytest.raises(Outage, match="more than 0 s"):
        signed.upload(f"{wire.host}/ids", io.BytesIO(b"1\n"))
    assert wire.heard == []
