"""Files from the network: over https alone, checked against their SHA-256 before they get a name, and kept."""

import hashlib
import logging
import os
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from aunet.errors import DownloadError, WriteError
from aunet.io.aside import digest, written_aside

MAX_BYTES = 2**30
"""No file of weights is larger; more is not read."""
TIMEOUT_S = 30.0
"""How long a server may be silent."""
_PIECE_BYTES = 2**20
_SUFFIXES = frozenset({".onnx", ".safetensors"})
_FRAGMENT = re.compile(r"sha256=([0-9a-f]{64})", re.IGNORECASE)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a file is, and what it has to be."""

    url: str
    sha256: str
    shown: str
    """The address for messages and logs, without its query: that may hold a key."""
    suffix: str
    """Ending of the kept file's name; "" for an ending that weights don't have."""

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address in a text such as `https://host/model.onnx#sha256=` and 64 hexadecimal digits.

        Args:
            text: What the user typed.

        Returns:
            The address.

        Raises:
            DownloadError: It is not https, names no host, holds a password or a space, or has no SHA-256.
        """
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
            shown = _shown(parts)
        except ValueError as error:
            msg = f"not an address ({error}); expected https://HOST/PATH#sha256=..."
            raise DownloadError(msg) from error
        if parts.scheme != "https":
            msg = f"{shown}: anybody on the way can change what comes over {parts.scheme}; give an address of https://"
            raise DownloadError(msg)
        if not host or parts.username is not None:
            msg = f"{shown}: expected https://HOST/PATH#sha256=..., without a user's name or password"
            raise DownloadError(msg)
        if not text.isascii() or " " in text:
            msg = f"{shown}: holds a space or a letter outside ASCII; spell it %20, %C3%A9 and so on"
            raise DownloadError(msg)
        found = _FRAGMENT.fullmatch(parts.fragment)
        if found is None:
            msg = (
                f"{shown}: the SHA-256 of the file is missing; give {shown}#sha256=... with its 64 hexadecimal digits,"
                " as published beside the file, or as sha256sum prints them for a copy that you trust"
            )
            raise DownloadError(msg)
        suffix = PurePosixPath(parts.path).suffix.lower()
        url = urlunsplit(parts._replace(fragment=""))
        return cls(url, found[1].lower(), shown, suffix if suffix in _SUFFIXES else "")


def is_address(text: str) -> bool:
    """Whether a text is an address and no path.

    Args:
        text: What the user typed.

    Returns:
        True where it starts with `https://`, or with `http://`, which `fetch` refuses.
    """
    return text.lower().startswith(("https://", "http://"))


def cache_folder() -> Path:
    """Where fetched files are kept: `aunet/weights` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    # A relative path there is to be ignored, says the XDG base directory specification.
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (base if base.is_absolute() else Path("~/.cache").expanduser()) / "aunet" / "weights"


def fetch(text: str, *, folder: Path | None = None) -> Path:
    """A file from the network; one that is kept already is used again without a request, if its content is still right.

    Args:
        text: An address with the SHA-256 of the file, see `Address.parse`.
        folder: Where the file is kept; None takes `cache_folder()`.

    Returns:
        The kept file, named by its SHA-256. An address that can't be used, a server that doesn't give the file, and
        another file than was asked for are a `DownloadError`; nothing is kept then.

    Raises:
        WriteError: The file can't be kept there.
    """
    address = Address.parse(text)
    folder = cache_folder() if folder is None else folder
    path = folder / f"{address.sha256}{address.suffix}"
    try:
        if path.is_file():
            if digest(path) == address.sha256:
                return path
            logger.warning("%s: the kept file is damaged and is fetched anew", path)
            path.unlink()
        logger.info("fetching %s", address.shown)
        with written_aside(path) as aside:
            _download(address, aside)
    except OSError as error:
        msg = f"{folder}: can't be written ({error.strerror or error}); make room, or set XDG_CACHE_HOME"
        raise WriteError(msg) from error
    return path


class _HttpsOnly(HTTPRedirectHandler):
    """Follows a server to another address of https, and nowhere else."""

    def redirect_request(
        self, req: Request, fp: IO[bytes] | HTTPResponse, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """The request to the other address.

        Raises:
            DownloadError: It is not https.
        """
        target = urlsplit(newurl)
        if target.scheme != "https":
            fp.close()
            text = (
                f"{_shown(urlsplit(req.full_url))}: leads to {_shown(target)}, which is not https; take another address"
            )
            raise DownloadError(text)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _download(address: Address, aside: Path) -> None:
    """Write what the server gives, if it is the file that was asked for.

    Raises:
        DownloadError: It isn't.
    """
    hashed = hashlib.sha256()
    with aside.open("wb") as file:
        for piece in _pieces(address):
            hashed.update(piece)
            file.write(piece)
    if (found := hashed.hexdigest()) != address.sha256:
        msg = (
            f"{address.shown}: the file there has the SHA-256 {found}, expected was {address.sha256}; it was not kept:"
            " it is another file, or was changed"
        )
        raise DownloadError(msg)


def _pieces(address: Address) -> Iterator[bytes]:
    """The file's content as it comes.

    Raises:
        DownloadError: The server can't be reached or trusted, doesn't have the file, or doesn't give all of it.
    """
    # Address.parse lets https through and nothing else.
    request = Request(address.url, headers={"User-Agent": f"aunet/{version('aunet')}"})  # noqa: S310 - see above
    try:
        with _opener().open(request, timeout=TIMEOUT_S) as response:
            yield from _content(response, address)
    except HTTPError as error:
        error.close()
        msg = f"{address.shown}: the server answers {error.code} {_printable(str(error.reason))}; check the address"
        raise DownloadError(msg) from error
    except (URLError, HTTPException, OSError) as error:
        reason = _printable(str(getattr(error, "reason", None) or error))
        msg = f"{address.shown}: can't be fetched ({reason}); check address and network, or give a file"
        raise DownloadError(msg) from error


def _content(response: HTTPResponse, address: Address) -> Iterator[bytes]:
    """The body of an answer.

    Raises:
        DownloadError: It is too large, or ends too early.
    """
    stated = response.headers.get("Content-Length")
    expected = int(stated) if stated is not None and stated.isdecimal() else None
    count = 0
    if expected is not None and expected > MAX_BYTES:
        raise DownloadError(_too_large(address))
    while piece := response.read(_PIECE_BYTES):
        count += len(piece)
        if count > MAX_BYTES:
            raise DownloadError(_too_large(address))
        yield piece
    if expected is not None and count < expected:
        msg = f"{address.shown}: the answer ended after {count:,} of {expected:,} bytes; try again"
        raise DownloadError(msg)


def _too_large(address: Address) -> str:
    return f"{address.shown}: larger than {MAX_BYTES:,} bytes, which no file of weights is; check the address"


def _opener() -> OpenerDirector:
    """What opens addresses; it trusts the certificates that this machine trusts, and those in SSL_CERT_FILE."""
    return build_opener(HTTPSHandler(context=ssl.create_default_context()), _HttpsOnly())


def _shown(parts: SplitResult) -> str:
    """An address without query, fragment, and user."""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _printable(text: str) -> str:
    """A server's words, fit for a terminal: it may send what moves the cursor."""
    return "".join(character for character in text if character.isprintable())[:200]
