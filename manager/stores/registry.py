# SPDX-License-Identifier: BSD-2-Clause
"""A store in a repository of a registry, by the OCI distribution specification 1.1.

A snapshot's name is a tag of the repository: `demo.current`. Whoever needs a token or a password is
told so by the registry's answer 401, and asked for then.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from urllib.parse import quote, urlencode, urljoin, urlsplit

from manager.errors import HostError, UsageError
from manager.stores import credentials, form
from manager.stores.faults import AGAIN, damaged, not_there, unreachable
from manager.stores.form import Descriptor, FormError
from manager.stores.http import TRIES, Host, Response, TooLargeError, origin_of, pause
from manager.stores.names import StoredName
from manager.stores.reach import Reached

_REPOSITORY = re.compile(
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
)
_PARAMETER = re.compile(r'([a-z_]+)="([^"]*)"')
_LINK = re.compile(r'<([^>]*)>; *rel="?next"?')
_MOST_TAGS = 4 << 20
"""Bytes of a page of tags."""
_MOST_PAGES = 100
_LOCAL = frozenset(("localhost", "127.0.0.1", "[::1]"))
"""Hosts that are spoken to without TLS."""
_HUB = "docker.io"
_ACCEPTED = {"Accept": f"{form.MANIFEST}, {form.IMAGE_INDEX}"}


class Registry:
    """A repository of a registry."""

    def __init__(self, place: str, host: str, repository: str, *, plain: bool) -> None:
        self.place = place
        if not _REPOSITORY.fullmatch(repository):
            raise UsageError(
                f"{place!r}: {repository!r} is no repository",
                help="lower-case words with / between them, such as team/machines",
            )
        self._login_as = "https://index.docker.io/v1/" if host == _HUB else host
        address = f"registry-1.{_HUB}" if host == _HUB else host
        plain = plain or re.sub(r":[0-9]+$", "", address) in _LOCAL
        self._host = Host(f"{'http' if plain else 'https'}://{address}")
        self._base = f"/v2/{repository}"
        self._repository = repository
        self._authorization = ""
        self._lock = Lock()

    @contextmanager
    def pushing(self) -> Iterator[None]:
        """See Remote. What a registry collects, and when, is its own affair."""
        yield

    def has(self, blob: Descriptor) -> bool:
        """See Remote."""
        response = self._ask("HEAD", f"/blobs/{blob.digest}", ok=(200, 404))
        return response.status == 200

    def put(self, blob: Descriptor, data: bytes) -> None:
        """See Remote. An upload that fails is begun anew: the registry may have dropped it."""
        headers = {"Content-Type": "application/octet-stream"}
        for number in range(TRIES):
            target = self._upload_target(blob)
            try:
                self._ask("PUT", target, headers=headers, body=data, ok=(201,), tries=1)
                return
            except HostError:
                if number == TRIES - 1 or self._host.is_abandoned:
                    raise
            pause(number)

    def _upload_target(self, blob: Descriptor) -> str:
        started = self._ask("POST", "/blobs/uploads/", body=b"", ok=(202,))
        location = started.headers.get("location")
        if not location:
            raise unreachable(self.place, "does not say where to upload to")
        target = urljoin(started.url, location)
        if urlsplit(target).scheme not in ("https", urlsplit(started.url).scheme):
            raise unreachable(self.place, f"wants an upload without TLS, to {target[:200]}")
        joint = "&" if urlsplit(target).query else "?"
        return f"{target}{joint}{urlencode({'digest': blob.digest})}"

    def get(self, blob: Descriptor) -> bytes:
        """See Remote."""
        try:
            path = f"/blobs/{blob.digest}"
            response = self._ask("GET", path, ok=(200, 404), limit=blob.size)
        except TooLargeError:
            return bytes(blob.size + 1)
        if response.status == 404:
            raise damaged(self.place, f"{blob.digest} is missing")
        return response.body

    def names(self) -> list[StoredName]:
        """See Remote."""
        found = []
        target: str | None = "/tags/list?n=1000"
        for _ in range(_MOST_PAGES):
            if target is None:
                break
            try:
                response = self._ask("GET", target, ok=(200, 404), limit=_MOST_TAGS)
                if response.status == 404:  # nothing was ever pushed
                    break
                tags = form.tree_of(response.body).get("tags") or []
            except (FormError, TooLargeError):
                raise damaged(self.place, "its list of tags is none") from None
            if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
                raise damaged(self.place, "its list of tags is none")
            found += [name for tag in tags if (name := StoredName.read(tag)) is not None]
            more = _LINK.search(response.headers.get("link", ""))
            target = self._at_home(urljoin(response.url, more[1])) if more is not None else None
        return found

    def manifest(self, name: StoredName) -> bytes:
        """See Remote."""
        try:
            response = self._ask(
                "GET",
                f"/manifests/{quote(str(name))}",
                headers=_ACCEPTED,
                ok=(200, 404),
                limit=form.MOST_MANIFEST,
            )
        except TooLargeError:
            most = form.MOST_MANIFEST
            raise damaged(self.place, f"the manifest {name} has more than {most} bytes") from None
        if response.status == 404:
            raise not_there(self.place, name.shown)
        return response.body

    def set_name(self, name: StoredName, manifest: bytes) -> None:
        """See Remote. A registry refuses a manifest whose blobs are not there."""
        headers = {"Content-Type": form.MANIFEST}
        self._ask(
            "PUT", f"/manifests/{quote(str(name))}", headers=headers, body=manifest, ok=(201,)
        )

    def prune(self, dropped: Iterable[StoredName], grace: float) -> Reached:
        """See Remote; names only. A registry itself removes what no manifest needs."""
        dropped = list(dropped)
        if not dropped:
            raise UsageError(
                f"{self.place} is a registry, which removes by itself what no manifest needs",
                help="`--drop NAME:TAG` removes a name; the registry's own garbage collection, the "
                "rest",
            )
        kept = {self._digest(name): name for name in self.names() if name not in dropped}
        for name in dropped:
            digest = self._digest(name)
            if digest in kept:
                raise UsageError(
                    f"{self.place}: {name.shown} is the same as {kept[digest].shown}, and a "
                    "registry removes both or none",
                    help="drop both",
                )
            response = self._ask("DELETE", f"/manifests/{digest}", ok=(200, 202, 404, 405))
            if response.status == 405:
                raise unreachable(
                    self.place,
                    "does not let manifests be deleted",
                    help="for docker-registry, REGISTRY_STORAGE_DELETE_ENABLED=true allows it",
                )
        return Reached(set())

    def abandon(self) -> None:
        """See Remote."""
        self._host.abandon()

    def _digest(self, name: StoredName) -> str:
        return form.descriptor_of(self.manifest(name)).digest

    # ---- requests ----

    def _ask(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        ok: tuple[int, ...],
        limit: int = 1 << 20,
        tries: int = TRIES,
    ) -> Response:
        """An answer whose status is in `ok`. Raises HostError for another, TooLargeError."""
        url = self._base + target if target.startswith("/") else target
        for tried in (False, True):
            sent = dict(headers or {})
            used = self._authorization
            if used and self._is_home(url):
                sent["Authorization"] = used
            response = self._host.request(method, url, sent, body, limit, tries)
            if response.status != 401 or tried:
                break
            self._authorize(response, used)
        if response.status in ok:
            return response
        raise self._refused(response, method, urlsplit(response.url).path)

    def _is_home(self, url: str) -> bool:
        return origin_of(urljoin(self._host.origin, url)) == self._host.origin

    def _at_home(self, url: str) -> str:
        """The path of a URL of this repository's. Raises HostError for another's."""
        parts = urlsplit(url)
        if not self._is_home(url) or not parts.path.startswith(f"{self._base}/"):
            raise unreachable(self.place, f"its list of tags goes on elsewhere: {url[:200]}")
        return parts.path.removeprefix(self._base) + (f"?{parts.query}" if parts.query else "")

    def _refused(self, response: Response, method: str, path: str) -> HostError:
        """The error for a status that was not hoped for, in the registry's own words too."""
        said = f"{method} {path}: status {response.status}"
        try:
            first = form.tree_of(response.body)["errors"][0]
            said += f", {str(first.get('message') or first.get('code'))[:200]}"
        except (FormError, LookupError, TypeError, AttributeError):
            pass
        if response.status in (401, 403):
            return unreachable(
                self.place,
                said,
                help=f"`docker login {self._login_as}`, or set VMMGR_REGISTRY_USER and "
                "VMMGR_REGISTRY_PASSWORD",
            )
        return unreachable(self.place, said, help=AGAIN)

    # ---- who we are ----

    def _authorize(self, refused: Response, used: str) -> None:
        """Get what the registry's answer 401 asks for, unless another thread just did."""
        with self._lock:
            if self._authorization != used:
                return
            challenge = refused.headers.get("www-authenticate", "")
            known = credentials.of_host(self._login_as)
            basic = f"Basic {base64.b64encode(':'.join(known).encode()).decode()}" if known else ""
            if challenge[:7].lower() == "bearer ":
                self._authorization = f"Bearer {self._token(challenge, basic)}"
            else:
                self._authorization = basic

    def _token(self, challenge: str, basic: str) -> str:
        asked = dict(_PARAMETER.findall(challenge))
        realm = asked.get("realm", "")
        allowed = {"https", urlsplit(self._host.origin).scheme}
        if urlsplit(realm).scheme not in allowed or not urlsplit(realm).netloc:
            raise unreachable(self.place, f"asks for a token from {realm[:200]!r}, without TLS")
        scope = asked.get("scope", f"repository:{self._repository}:pull,push")
        query = urlencode({"service": asked.get("service", ""), "scope": scope})
        host = Host(origin_of(realm))
        target = f"{realm}{'&' if urlsplit(realm).query else '?'}{query}"
        response = host.request("GET", target, {"Authorization": basic} if basic else {})
        if response.status != 200:
            raise self._refused(response, "GET", realm)
        try:
            tree = form.tree_of(response.body)
        except FormError as error:
            raise unreachable(self.place, f"{realm}: {error}") from None
        token = tree.get("token") or tree.get("access_token")
        if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
            raise unreachable(self.place, f"{realm} gives no token")
        return token
