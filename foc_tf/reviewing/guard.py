"""What a review's server answers at all, and what its pages may load.

Gradio has routes for files, uploads and proxies that a review has no use for: they are closed
whatever their own checks say. Images are part of the pages; no request names a file.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

# Of Gradio 6; each also without its prefix.
_CLOSED = re.compile(
    r"/+(gradio_api/+)?(file|upload|upload_progress|proxy|stream|component_server|vibe-[\w-]+|"
    r"undo-vibe-edit|process_recording|deep_link|runs|run-history|custom_component|monitoring|"
    r"profiling|dev)\b"
)
_POLICY = (
    "default-src 'self'; img-src 'self' data:; font-src 'self' data:; style-src 'self' "
    "'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; connect-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = [
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]
# Of Gradio's own files, whose names change with their content; the rest is somebody's data.
_ASSETS = re.compile(r"/+(assets|static|svelte)/")


class Guard:
    """ASGI middleware: closed routes, known hosts, headers.

    Args:
      app: what answers the rest.
      hosts: names by which the server may be called, None for any. A page elsewhere whose name
        points to this machine would otherwise read what only this machine may (DNS rebinding).
    """

    def __init__(self, app: Callable[..., Awaitable[None]], hosts: set[str] | None = None) -> None:
        """See the class."""
        self.app, self.hosts = app, hosts

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[..., Awaitable[Any]],
        send: Callable[..., Awaitable[None]],
    ) -> None:
        """Answers one request."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            # Gradio's page needs no web socket.
            await send({"type": "websocket.close"})
            return
        reason = self._refused(scope)
        if reason:
            await _refuse(send, reason)
            return

        kept = b"max-age=86400" if _ASSETS.match(scope["path"]) else b"no-store"

        async def with_headers(message):
            if message["type"] == "http.response.start":
                found = [h for h in message.get("headers", []) if h[0].lower() != b"cache-control"]
                headers = [*found, *_HEADERS, (b"cache-control", kept)]
                message = message | {"headers": headers}
            await send(message)

        await self.app(scope, receive, with_headers)

    def _refused(self, scope):
        """Why a request is not answered, or None."""
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if self.hosts is not None and _without_port(host) not in self.hosts:
            return b"unknown host"
        # A page elsewhere must not decide in the name of the expert who looks at it.
        origin = headers.get(b"origin", b"").decode("latin-1").lower()
        if origin and origin.partition("://")[2] != host:
            return b"a page of another origin"
        if _CLOSED.match(scope["path"]):
            return b"a review has no files"
        return None


def _without_port(host):
    return re.sub(r":\d+$", "", host).strip("[]").lower()


async def _refuse(send, reason):
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": reason})
