"""The flags of `python -m jaxgan.view`."""

import dataclasses
import ipaddress
import re
from collections.abc import Sequence
from pathlib import Path

from jaxgan import storage
from jaxgan.config.flags import Parser, parse_int
from jaxgan.config.foreign import VIEWING
from jaxgan.errors import UsageError, printable
from jaxgan.files import kind

EXAMPLE = "python -m jaxgan.view --workdir=runs"

LEAST_TOKEN = 16
"""Minimum number of characters of a token."""

MOST_PORT = 65_535


@dataclasses.dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """Runs to show, and the address of the server."""

    workdirs: tuple[Path, ...] = ()
    """Runs, or folders below which runs are looked for; none for the lab alone."""
    lab: bool = False
    """True if the lab is the first page."""
    host: str = "127.0.0.1"
    port: int = 5006
    """0 for any free port."""
    token: str = ""
    """The secret that a browser must present; empty for none."""
    open: bool = False
    """True to open a browser."""
    origins: tuple[str, ...] = ()
    """Further HOST:PORT of addresses from which pages may connect."""
    import_: str = ""

    @property
    def is_local(self) -> bool:
        """True if only programs of this machine can connect."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Returns True for an address of this machine alone.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0")]
    [True, True, True, False]
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def parse_args(argv: Sequence[str] | None = None) -> ViewConfig:
    """Returns the configuration of a command line.

    Args:
      argv: arguments; those of the program if None.

    Raises:
      UsageError: naming the flag and a value that works.
    """
    parser = make_parser()
    args = parser.parse_flags(argv)
    workdirs = tuple(_workdir(text) for text in args.workdir or ())
    if not workdirs and not args.lab:
        raise UsageError(
            "name runs to show, such as --workdir=runs, or use --lab for the lab alone"
        )
    if not 0 <= args.port <= MOST_PORT:
        raise UsageError(
            f"--port={args.port}: must be from 0 (any free one) to {MOST_PORT}, such "
            "as --port=5006"
        )
    if not args.host or not re.fullmatch(r"[A-Za-z0-9.:_-]+", args.host):
        raise UsageError(
            f"--host={printable(args.host)}: give an address of this machine, such as "
            "--host=127.0.0.1"
        )
    _check_token(args.host, args.token)
    return ViewConfig(
        workdirs=workdirs,
        lab=args.lab,
        host=args.host,
        port=args.port,
        token=args.token,
        open=args.open,
        origins=tuple(_origin(text) for text in args.origin or ()),
        import_=vars(args)["import"],
    )


def _workdir(text: str) -> Path:
    """Returns the folder of a run, or of runs."""
    path = storage.run_folder("--workdir", text)
    if not text or kind(path) != "a folder":
        raise UsageError(
            f"--workdir={printable(text)} is no folder; name a run, or a folder of "
            "runs, such as --workdir=runs"
        )
    return path


def _check_token(host: str, token: str) -> None:
    """Raises UsageError for a missing or a weak token."""
    example = "--token=$(python -c 'import secrets; print(secrets.token_urlsafe())')"
    if not token:
        if is_loopback(host):
            return
        raise UsageError(
            f"--host={host} lets other machines connect, so it needs a secret: add "
            f"{example}, or leave --host out and use a tunnel (ssh -L)"
        )
    if len(token) < LEAST_TOKEN or not re.fullmatch(r"[A-Za-z0-9_.~-]+", token):
        raise UsageError(
            f"--token: use {LEAST_TOKEN} or more letters, digits and -_.~, such as "
            f"{example}"
        )


def _origin(text: str) -> str:
    """Returns HOST:PORT of a page's address."""
    host, _, port = text.rpartition(":")
    if not re.fullmatch(r"[A-Za-z0-9.-]+", host) or not port.isdecimal():
        raise UsageError(
            f"--origin={printable(text)}: give HOST:PORT as in the browser's address, "
            "such as --origin=localhost:8080"
        )
    return text.lower()


def make_parser() -> Parser:
    """Returns the parser of the flags."""
    parser = Parser(
        "python -m jaxgan.view",
        description="Show runs in a browser, also while they train: curves, samples, "
        "latents, and the lab, where GANs of points in the plane train live.",
        allow_abbrev=False,
        foreign=VIEWING,
    )
    add = parser.add_argument
    add(
        "--workdir",
        action="append",
        help="folder of a run, or of runs; repeat it to compare several",
    )
    add("--lab", action="store_true", help="start with the lab, which needs no run")
    add(
        "--port",
        type=parse_int,
        default=5006,
        help="port of the pages; 0 for any free one (default: 5006)",
    )
    add(
        "--host",
        default="127.0.0.1",
        help="address to serve at; others than this machine's own need --token "
        "(default: 127.0.0.1)",
    )
    add("--token", default="", help="secret that the address in the browser must have")
    add(
        "--origin",
        action="append",
        help="HOST:PORT in the browser's address, if a proxy or tunnel changes it",
    )
    add("--open", action="store_true", help="open a browser")
    add("--import", default="", help="modules that runs may import, as in training")
    return parser
