"""Files fetched from a real server of https on this machine."""

import hashlib
import logging
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from aunet.errors import DownloadError, WriteError
from aunet.io import download
from aunet.io.download import Address, fetch, is_address

HOST = "127.0.0.1"
CONTENT = bytes(range(256)) * 9000  # more than one piece
SHA256 = hashlib.sha256(CONTENT).hexdigest()

pytestmark = pytest.mark.allow_hosts([HOST])


@dataclass
class Answer:
    """What the server says to one path."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    silent_until: threading.Event | None = None


@dataclass
class Site:
    """A running server: what it says, and what it was asked for."""

    root: str
    answers: dict[str, Answer]
    asked: list[str] = field(default_factory=list)

    def address(self, path: str = "/model.onnx", sha256: str = SHA256) -> str:
        return f"{self.root}{path}#sha256={sha256}"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def site(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A server whose certificate this process trusts, as a machine trusts its own authorities."""
    whole = {"Content-Length": str(len(CONTENT))}
    answers = {"/model.onnx": Answer(CONTENT, headers=whole), "/streamed": Answer(CONTENT)}
    found = Site("", answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            answer = answers.get(self.path, Answer(status=404))
            if answer.silent_until is not None:
                answer.silent_until.wait(10)
            self.send_response(answer.status, answer.reason)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer((HOST, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    found.root = f"https://{HOST}:{server.server_address[1]}"
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    monkeypatch.setenv("no_proxy", "*")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.exists() else []


@pytest.mark.parametrize("path", ["/model.onnx", "/streamed"])
def test_a_file_is_fetched_and_kept_under_its_hash(site: Site, tmp_path: Path, path: str) -> None:
    kept = fetch(site.address(path), folder=tmp_path / "cache")

    assert kept.read_bytes() == CONTENT
    assert left_in(tmp_path / "cache") == [f"{SHA256}{Path(path).suffix}"]


def test_the_hash_may_be_in_capitals(site: Site, tmp_path: Path) -> None:
    assert fetch(site.address(sha256=SHA256.upper()), folder=tmp_path).stem == SHA256


def test_a_kept_file_is_used_again_without_asking(site: Site, tmp_path: Path) -> None:
    first = fetch(site.address(), folder=tmp_path / "cache")

    second = fetch(site.address(), folder=tmp_path / "cache")

    assert (first, site.asked) == (second, ["/model.onnx"])


def test_a_kept_file_that_is_damaged_is_fetched_anew(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = fetch(site.address(), folder=tmp_path / "cache")
    kept.write_bytes(CONTENT[:-1] + b"?")

    with caplog.at_level(logging.WARNING):
        again = fetch(site.address(), folder=tmp_path / "cache")

    assert again.read_bytes() == CONTENT
    assert len(site.asked) == 2
    assert "is damaged" in caplog.text


def test_another_file_is_refused_with_both_hashes_and_not_kept(site: Site, tmp_path: Path) -> None:
    asked_for = "0" * 64

    with pytest.raises(DownloadError, match=rf"has the SHA-256 {SHA256}, expected was {asked_for}"):
        fetch(site.address(sha256=asked_for), folder=tmp_path / "cache")

    assert left_in(tmp_path / "cache") == []


def test_an_answer_that_ends_too_early_is_refused_and_not_kept(site: Site, tmp_path: Path) -> None:
    site.answers["/model.onnx"].body = CONTENT[:1000]

    with pytest.raises(DownloadError, match=r"ended after 1,000 of 2,304,000 bytes|IncompleteRead"):
        fetch(site.address(), folder=tmp_path / "cache")

    assert left_in(tmp_path / "cache") == []


def test_a_file_that_is_not_there_is_named_by_the_server_s_answer(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"/none\.onnx: the server answers 404 Not Found"):
        fetch(site.address("/none.onnx"), folder=tmp_path)


def test_a_server_s_words_can_not_write_over_the_terminal(site: Site, tmp_path: Path) -> None:
    site.answers["/model.onnx"] = Answer(status=500, reason="\x1b[2Jall is \x07well")

    with pytest.raises(DownloadError, match=r"the server answers 500 \[2Jall is well; check"):
        fetch(site.address(), folder=tmp_path)


def test_a_server_that_is_not_there_is_an_error(site: Site, tmp_path: Path) -> None:
    address = re.sub(r":\d+/", ":1/", site.address())

    with pytest.raises(DownloadError, match="can't be fetched"):
        fetch(address, folder=tmp_path)


def test_a_certificate_that_nobody_trusts_is_an_error(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))

    with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(site.address(), folder=tmp_path)

    assert site.asked == []


def test_a_way_on_by_https_is_followed(site: Site, tmp_path: Path) -> None:
    site.answers["/latest"] = Answer(status=302, headers={"Location": f"{site.root}/model.onnx"})

    assert fetch(site.address("/latest"), folder=tmp_path).read_bytes() == CONTENT


def test_a_way_on_by_http_is_not_followed(site: Site, tmp_path: Path) -> None:
    plain = site.root.replace("https", "http")
    site.answers["/latest"] = Answer(status=302, headers={"Location": f"{plain}/model.onnx?key=secret"})

    with pytest.raises(DownloadError, match=r"/latest: leads to http://.*/model\.onnx, which is not https") as refused:
        fetch(site.address("/latest"), folder=tmp_path)

    assert "secret" not in str(refused.value)
    assert site.asked == ["/latest"]


@pytest.mark.parametrize("path", ["/model.onnx", "/streamed"])
def test_what_is_too_large_is_refused_and_not_kept(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", len(CONTENT) - 1)

    with pytest.raises(DownloadError, match="larger than 2,303,999 bytes"):
        fetch(site.address(path), folder=tmp_path / "cache")

    assert left_in(tmp_path / "cache") == []


def test_a_server_that_falls_silent_is_not_waited_for_without_end(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "TIMEOUT_S", 0.5)
    given_up = threading.Event()
    site.answers["/slow"] = Answer(silent_until=given_up)

    with pytest.raises(DownloadError, match="timed out"):
        fetch(site.address("/slow"), folder=tmp_path / "cache")

    given_up.set()
    assert left_in(tmp_path / "cache") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://host/model.onnx#sha256=" + SHA256, "give an address of https"),
        ("HTTP://host/model.onnx", "give an address of https"),
        ("https://host/model.onnx", r"give https://host/model\.onnx#sha256=\.\.\."),
        ("https://host/model.onnx#sha256=12ab", r"the SHA-256 of the file is missing"),
        ("https://host/model.onnx#md5=" + SHA256, r"the SHA-256 of the file is missing"),
        ("https:///model.onnx#sha256=" + SHA256, "expected https://HOST"),
        ("https://[::1/model.onnx#sha256=" + SHA256, "not an address"),
        ("https://host:many/model.onnx#sha256=" + SHA256, "not an address"),
        ("https://host/my model.onnx#sha256=" + SHA256, "holds a space"),
        ("https://host/modèle.onnx#sha256=" + SHA256, "outside ASCII"),
    ],
)
def test_an_address_that_can_not_be_used_is_refused_with_what_to_do(text: str, message: str) -> None:
    with pytest.raises(DownloadError, match=message):
        Address.parse(text)


@pytest.mark.parametrize(
    "address", ["https://host/model.onnx?key=hunter2", "https://me:hunter2@host/model.onnx#sha256="]
)
def test_no_message_repeats_a_key_or_a_password(address: str) -> None:
    with pytest.raises(DownloadError, match="https://host/model") as refused:
        Address.parse(address)

    assert "hunter2" not in str(refused.value)


def test_the_query_is_sent_but_not_the_hash(site: Site, tmp_path: Path) -> None:
    site.answers["/model.onnx?version=2"] = site.answers["/model.onnx"]

    fetch(site.address("/model.onnx?version=2"), folder=tmp_path)

    assert site.asked == ["/model.onnx?version=2"]


@pytest.mark.parametrize("path", ["/a/model.exe", "/..onnx/model", "/model"])
def test_only_endings_of_weights_become_part_of_a_name(path: str) -> None:
    assert Address.parse(f"https://host{path}#sha256={SHA256}").suffix == ""


def test_files_are_kept_where_the_user_keeps_caches(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    chosen = fetch(site.address())
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    usual = fetch(site.address())

    assert chosen.parent == tmp_path / "caches" / "aunet" / "weights"
    assert usual.parent == tmp_path / "home" / ".cache" / "aunet" / "weights"


def test_a_place_that_can_not_be_written_is_an_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(WriteError, match="set XDG_CACHE_HOME"):
        fetch(site.address(), folder=tmp_path / "cache")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("https://host/a", True), ("Http://host/a", True), ("https.onnx", False), ("weights/a.onnx", False)],
)
def test_an_address_is_told_from_a_path_by_its_beginning(text: str, *, expected: bool) -> None:
    assert is_address(text) is expected
