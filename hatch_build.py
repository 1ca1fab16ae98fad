"""What the built package says of itself that depends on where the repository is: links of the README, and addresses.

A page that shows the README without the repository beside it has no ``docs/images``. Relative links become absolute
where ``address`` in ``pyproject.toml`` says what they are relative to; without an address, links become their text and
pictures go.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_LINK = re.compile(r"(?P<picture>!?)\[(?P<text>[^]]*)]\((?!https?:|#)(?P<path>[^)]*)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Sets ``readme`` and ``urls``."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in what ``pyproject.toml`` calls dynamic."""
        address = self.config.get("address", "").rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": readable_anywhere(text, address)}
        metadata["urls"] = addresses(address)


def readable_anywhere(text: str, address: str) -> str:
    """The README with links that do not depend on what lies beside it."""

    def link(found: re.Match[str]) -> str:
        if address:
            kind = "raw" if found["picture"] else "blob"
            return f"{found['picture']}[{found['text']}]({address}/{kind}/main/{found['path']})"
        return "" if found["picture"] else found["text"]

    return re.sub(r"\n{3,}", "\n\n", _LINK.sub(link, text))


def addresses(address: str) -> dict[str, str]:
    """Addresses of the project; none where it has none."""
    if not address:
        return {}
    return {
        "Source": address,
        "Documentation": f"{address}/blob/main/docs/index.md",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
        "Issues": f"{address}/issues",
    }
