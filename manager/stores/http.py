# SPDX-License-Identifier: BSD-2-Clause
"""Requests to one host over HTTP: tried again when they may be, never larger or longer than asked.

Each thread has a connection. Credentials go to that host only: a redirect to another one is
followed without them, and never from TLS to plain text.
"""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass  # not manager.lazy's, which threads must not be the first to use
from threading import Lock, local
from urllib.parse import urljoin, urlsplit

from manager.stores.faults import unreachable
from manager.version import __version__

TRIES = 4
_FIRST_DELAY = 0.2
"""Seconds; three times as many before each further try."""
_LONGEST_DELAY = 10.0
_PATIENCE = 30.0
"""Seconds without a byte."""
_SLOWEST = 32 << 10
"""Bytes/s below which a body is given up, after _PATIENCE."""
_REDIRECTS = 5
_AGAIN = frozenset((408, 429, 500, 502, 503, 504))
_STEP = 64 << 10
LARGEST_ERROR = 64 << 10
"""Bytes that are read of what a host says of a failure."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    url: str
    """Where it came from, after redirects."""


class TooLargeError(Exception):
    """A body is larger than asked for."""


class Host:
    """One scheme, host and port."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        """Such as `https://registry.example`."""
        self._own = local()
        self._lock = Lock()
        self._all: list[http.client.HTTPConnection] = []
        self.is_abandoned = False
        """Whether `abandon` was called."""
        self._context: ssl.SSLContext | None = None

    def __del__(self) -> None:
        for connection in self._all:
            connection.close()

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        limit: int = LARGEST_ERROR,
        tries: int = TRIES,
    ) -> Response:
        """The answer to a request to `target`, a path or a URL; one of 5xx after so many tries.

        Redirects of GET and HEAD are followed. Raises TooLargeError when the body of a success
        has more than `limit` bytes, HostError when there is no whole answer.
        """
        for number in range(tries):
            last, asked = number == tries - 1, 0.0
            try:
                response = self._followed(
                    method, urljoin(self.origin, target), headers, body, limit
                )
                if last or response.status not in _AGAIN:
                    return response
                after = response.headers.get("retry-after", "")
                asked = float(after) if after.isdecimal() else 0.0
            except TooLargeError:
                self._drop()
                raise
            except (OSError, http.client.HTTPException) as error:
                self._drop()
                certificate = isinstance(error, ssl.SSLCertVerificationError)
                if last or certificate or self.is_abandoned:
                    raise unreachable(self.origin, _fault(error)) from error
            pause(number, asked)
        raise AssertionError("the last try returns or raises")

    def abandon(self) -> None:
        """Have requests in other threads end soon."""
        self.is_abandoned = True
        with self._lock:
            for connection in self._all:
                with suppress(OSError, AttributeError):
                    connection.sock.shutdown(2)

    def _followed(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> Response:
        for _ in range(_REDIRECTS):
            response = self._once(method, url, headers, body, limit)
            location = response.headers.get("location")
            is_redirect = response.status in (301, 302, 303, 307, 308) and location is not None
            if not is_redirect or method not in ("GET", "HEAD"):
                return response
            target = urljoin(url, location)
            if urlsplit(target).scheme not in ("https", urlsplit(self.origin).scheme):
                raise unreachable(self.origin, f"redirects to {target[:200]!r}, without TLS")
            url = target
        raise unreachable(self.origin, f"redirects more than {_REDIRECTS} times")

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> Response:
        parts = urlsplit(url)
        at_home = origin_of(url) == self.origin
        connection = self._mine() if at_home else self._new(url)
        sent = {"User-Agent": f"vmmgr/{__version__}", **headers}
        if not at_home:
            sent = {name: value for name, value in sent.items() if name != "Authorization"}
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, target, body, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            most = limit if answer.status < 300 else LARGEST_ERROR
            content = _body(answer, most)
            return Response(answer.status, found, content, url)
        finally:
            if not at_home:
                connection.close()

    def _mine(self) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._new(self.origin)
            with self._lock:
                self._all.append(connection)
        return connection

    def _drop(self) -> None:
        """Begin anew with a connection that has failed."""
        connection = getattr(self._own, "connection", None)
        if connection is not None:
            connection.close()

    def _new(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.netloc, timeout=_PATIENCE)
        with self._lock:
            self._context = self._context or ssl.create_default_context()
        return http.client.HTTPSConnection(parts.netloc, timeout=_PATIENCE, context=self._context)


def pause(number: int, asked: float = 0.0) -> None:
    """Wait after the failure of try `number`, from 0 on: longer each time, or as asked for."""
    time.sleep(min(max(_FIRST_DELAY * 3**number, asked), _LONGEST_DELAY))


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _body(answer: http.client.HTTPResponse, limit: int) -> bytes:
    """All of a body. Raises TooLargeError, OSError when it is cut short or too slow."""
    stated = answer.length  # 0 after HEAD
    if stated is not None and stated > limit:
        raise TooLargeError
    end = time.monotonic() + _PATIENCE + limit / _SLOWEST
    body = bytearray()
    while part := answer.read1(_STEP):
        body += part
        if len(body) > limit:
            raise TooLargeError
        if time.monotonic() > end:
            raise TimeoutError(f"{len(body)} bytes came too slowly")
    if stated is not None and len(body) < stated:
        raise ConnectionError(f"cut short after {len(body)} of {stated} bytes")
    answer.close()  # so that the connection takes another request
    return bytes(body)


def _fault(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
