"""dpsynth ui: the way from a file to a release on a local web page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from dpsynth.errors import ConfigError


def ui(arguments: Sequence[str]) -> None:
    """Serve the page until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="dpsynth ui",
        description="Open a page in the browser that leads from a file to a release. It is served to this computer "
        "alone, and only to those who have the address that is printed.",
    )
    parser.add_argument("--folder", type=Path, default=Path("dpsynth-projects"), help="where projects are kept")
    parser.add_argument("--port", type=int, default=0, help="of this computer; by default any free one")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and do not open it")
    options = parser.parse_args(list(arguments))
    if not 0 <= options.port < 2**16:
        raise ConfigError(f"--port {options.port}: must lie between 0 and 65535")
    try:
        from dpsynth.ui.server import serve
    except ImportError as error:
        raise ConfigError(f"dpsynth ui needs Streamlit: pip install 'dpsynth-torch[ui]' ({error})") from None
    serve(options.folder, options.port, not options.no_browser)
