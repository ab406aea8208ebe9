"""X's storage, over real HTTP on loopback."""

import gzip
import io

import pytest

from include.twitter.errors import Outage, UnexpectedResponse
from include.twitter_features.compliance import storage
from tests.include.http_recorder import dripping, listening


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with listening() as server:
        yield server


def test_a_file_is_transferred_whole_and_without_credentials_of_a_netrc(recorder, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("default login stranger password stranger-s3cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    recorder.respond(200, b"result")
    recorder.respond(200, b"")
    file = io.BytesIO()
    storage.download(f"{recorder.host}/result?signature=s3cret", file, 100)
    storage.upload_file(f"{recorder.host}/ids?signature=s3cret", io.BytesIO(b"1\n2\n"))
    assert (file.getvalue(), recorder.requests[1].body) == (b"result", "1\n2\n")
    assert [request.headers.get("authorization") for request in recorder.requests] == [None, None]


def test_a_redirect_is_not_followed(recorder):
    recorder.respond(302, b"", location=f"{recorder.host}/elsewhere")
    with pytest.raises(Outage, match="302 to PUT"):
        storage.upload_file(f"{recorder.host}/ids", io.BytesIO(b"1\n"))
    assert len(recorder.requests) == 1


def test_a_result_is_decompressed_only_up_to_its_limit(recorder):
    recorder.respond(200, gzip.compress(bytes(10_000_000)), content_encoding="gzip")
    file = io.BytesIO()
    with pytest.raises(UnexpectedResponse, match="more than 1000 bytes"):
        storage.download(f"{recorder.host}/result?signature=s3cret", file, 1000)
    assert file.tell() <= 1000 + storage.CHUNK_BYTES


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_a_response_that_arrives_byte_by_byte_is_aborted(monkeypatch, method):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(storage, "MAX_SECONDS", 0.2)
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    with dripping(response, b" ") as host, pytest.raises(Outage, match=r"more than 0\.2 s") as raised:
        if method == "GET":
            storage.download(f"{host}/result?signature=s3cret", io.BytesIO(), 1 << 20)
        else:
            storage.upload_file(f"{host}/ids?signature=s3cret", io.BytesIO(b"1\n"))
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("address", ["http://storage.example/x?signature=s3cret", "file:///etc/passwd", ""])
def test_ids_are_sent_by_https_alone(address):
    with pytest.raises(UnexpectedResponse, match="https is required") as raised:
        storage.upload_file(address, io.BytesIO(b"1\n"))
    assert "s3cret" not in str(raised.value)
