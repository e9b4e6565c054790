"""Serves the pages: addresses, tokens and the end of the program."""

import errno
import hmac
import logging
import signal
import socket
import webbrowser
from typing import Any

from jaxgan import storage
from jaxgan.config.viewing import ViewConfig
from jaxgan.errors import UsageError, first_line

log = logging.getLogger("jaxgan")

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self' {origins}; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)
"""Nothing may be fetched from another place; Bokeh compiles its callbacks."""

LAST_SECONDS = 60.0
"""Longest wait for compiled calls when the program ends."""

MESSAGE_BYTES = 4 * 2**20
"""Maximum size of a message from a browser."""


def view(config: ViewConfig) -> int:
    """Serves the pages until the program is interrupted. Returns the exit code.

    Raises:
      UsageError: if the port is taken or a package is missing.
    """
    server = make_server(config)
    address = address_of(config, server.port)
    log.info("serving at %s (Ctrl-C ends it)", address)
    if config.is_local:
        log.info(
            "from another machine: ssh -L %d:127.0.0.1:%d THIS-MACHINE, then open the "
            "same address there",
            server.port,
            server.port,
        )
    if config.open:
        webbrowser.open(address)
    loop = server.io_loop

    def end(number: int, _: Any) -> None:
        # Between two requests; a second signal ends the program as it usually does.
        signal.signal(number, signal.SIG_DFL)
        loop.add_callback_from_signal(loop.stop)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    server.start()
    try:
        with storage.followed(config.workdirs):
            loop.start()
    finally:
        close(server)
    log.info("ended")
    return 0


def close(server: Any) -> None:
    """Ends the sessions, and so their games, and closes the port."""
    from jaxgan.viewer import background, lab_worker

    server.unlisten()
    lab_worker.close_all(LAST_SECONDS)
    background.close()
    server.stop()


def address_of(config: ViewConfig, port: int) -> str:
    """Returns the address to open, with the token if there is one."""
    host = "127.0.0.1" if config.host in ("0.0.0.0", "::") else config.host
    host = f"[{host}]" if ":" in host else host
    token = f"?token={config.token}" if config.token else ""
    return f"http://{host}:{port}/{'lab' if config.lab else ''}{token}"


def make_server(config: ViewConfig) -> Any:
    """Returns a Bokeh server that listens, and is not started.

    Raises:
      UsageError: if the port is taken or a package is missing.
    """
    try:
        import bokeh.server.server
        from bokeh.settings import settings
    except ImportError as error:
        raise UsageError(
            f"the pages need Bokeh ({first_line(error)}): pip install 'jaxgan[view]'"
        ) from error
    # Scripts come from this server, whatever the environment says.
    settings.resources = "server"  # type: ignore[assignment]
    settings.allowed_ws_origin = []  # type: ignore[assignment]
    for name in ("bokeh", "tornado"):
        logging.getLogger(name).setLevel(logging.ERROR)
    port = usable_port(config)
    origins = origins_of(config, port)
    try:
        return bokeh.server.server.Server(
            applications(config),
            address=config.host,
            port=port,
            allow_websocket_origin=origins,
            auth_provider=provider(config, origins),
            websocket_max_message_size=MESSAGE_BYTES,
            use_index=False,
            # Sessions of closed pages end soon, with their games.
            check_unused_sessions_milliseconds=2_000,
            unused_session_lifetime_milliseconds=8_000,
        )
    except OSError as error:
        raise UsageError(listening_error(config, error)) from error


def listening_error(config: ViewConfig, error: OSError) -> str:
    """Returns why the program cannot listen, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return (
            f"--port={config.port} is in use, perhaps by another viewer: use "
            f"--port={min(config.port + 1, 65_535)}, or --port=0 for any free one"
        )
    if error.errno == errno.EACCES:
        return f"--port={config.port} needs more rights: use one such as --port=5006"
    return (
        f"--host={config.host} cannot be served at ({first_line(error)}): use an "
        "address of this machine, such as --host=127.0.0.1"
    )


def usable_port(config: ViewConfig) -> int:
    """Returns the port to serve at, a free one for 0.

    Raises:
      UsageError: if the port is in use, or the address is not this machine's.
    """
    host, port = config.host, config.port
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # As servers do, or a port that was just left would count as in use.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            return probe.getsockname()[1]
    except OSError as error:
        raise UsageError(listening_error(config, error)) from error


def origins_of(config: ViewConfig, port: int) -> list[str]:
    """Returns HOST:PORT of the addresses from which pages may connect.

    >>> origins_of(ViewConfig(), 5006)
    ['127.0.0.1:5006', 'localhost:5006']
    """
    hosts = ["127.0.0.1", "localhost"]
    if config.host in ("0.0.0.0", "::"):
        name = socket.gethostname()
        hosts += [name, socket.getfqdn()]
        # The addresses of this name; a machine may not know its own.
        try:
            hosts += [info[4][0] for info in socket.getaddrinfo(name, None)]
        except OSError:
            log.debug("the addresses of %s are unknown", name)
    else:
        hosts.append(config.host)
    # Bokeh splits at colons, and so has no IPv6 addresses.
    plain = dict.fromkeys(str(host).lower() for host in hosts if ":" not in str(host))
    return [f"{host}:{port}" for host in plain] + list(config.origins)


def applications(config: ViewConfig) -> dict[str, Any]:
    """Returns the pages by path."""
    import functools

    from jaxgan.viewer.catalogue import find_runs
    from jaxgan.viewer.lab_page import lab_page
    from jaxgan.viewer.latents_page import latents_page
    from jaxgan.viewer.runs_page import runs_page

    find = functools.partial(find_runs, config.workdirs)
    more = {"find": find, "imports": config.import_}
    return {
        "/": functools.partial(runs_page, **more),
        "/latents": functools.partial(latents_page, **more),
        "/lab": lab_page,
    }


def provider(config: ViewConfig, origins: list[str]) -> Any:
    """Returns Bokeh's check of each request: the host's name and the token.

    Args:
      config: the configuration.
      origins: HOST:PORT by which this server is called.
    """
    from bokeh.server.auth_provider import AuthProvider
    from tornado.web import HTTPError
    from tornado.websocket import WebSocketHandler

    policy = POLICY.format(origins=" ".join(f"ws://{name}" for name in origins))

    async def check(handler: Any) -> str:
        # A page of another site may have its own name point to this machine.
        if handler.request.host.lower() not in origins:
            raise HTTPError(403, reason="Unknown host: use the printed address")
        if not isinstance(handler, WebSocketHandler):  # these have no headers
            handler.set_header("Content-Security-Policy", policy)
            handler.set_header("Referrer-Policy", "no-referrer")
            handler.set_header("X-Content-Type-Options", "nosniff")
            handler.set_header("Cache-Control", "no-store")
        if config.token and not has_token(handler, config.token):
            raise HTTPError(403, reason="Add ?token=... to the address")
        return "user"

    class Provider(AuthProvider):
        """Refuses requests that `check` refuses."""

        @property
        def get_user_async(self) -> Any:
            return check  # called ahead of each request, also of sockets

        @property
        def login_url(self) -> str:
            return "/login"  # Bokeh needs one, but `check` raises instead

    return Provider()


def has_token(handler: Any, token: str) -> bool:
    """Returns True if a request has the token: in its address, or else in a cookie.

    The cookie is set for the links between pages.
    """
    name = f"jaxgan_token_{handler.request.host.rpartition(':')[2]}"
    given = handler.get_query_argument("token", "")
    in_address = bool(given)
    given = given or handler.get_cookie(name, "")
    # Compares all characters, so that the time tells nothing.
    valid = hmac.compare_digest(given.encode(), token.encode())
    if valid and in_address and not handler.request.headers.get("Upgrade"):
        handler.set_cookie(name, token, httponly=True, samesite="Strict")
    return valid
