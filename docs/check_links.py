"""Links of the built pages, checked without a network: ``python docs/check_links.py docs/_build/html``.

Every link inside has a file and an anchor, every cross-reference has become a link, every picture is there and has an
alternative text, and links outside are ``https`` addresses that end where they should.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Names of other packages, whose pages are not fetched.
_ELSEWHERE = ("sklearn.", "scipy.", "numpy.", "matplotlib.", "pandas.")


class Page(HTMLParser):
    """Links, anchors, pictures and cross-references of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.pictures: list[tuple[str, str | None]] = []
        self.unresolved: list[str] = []
        self._open: list[str] = []
        self._waiting = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag says."""
        found = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := found.get(name))}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"] or "")
        if tag == "img":
            self.pictures.append((found.get("src") or "", found.get("alt")))
        if tag == "code":
            self._waiting = "xref" in (found.get("class") or "").split() and "a" not in self._open
        if tag in ("a", "code"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Leave a tag."""
        if tag in self._open:
            del self._open[len(self._open) - 1 - self._open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        """The name of a cross-reference that is no link."""
        if self._waiting and data.strip():
            if not data.strip().startswith(_ELSEWHERE):
                self.unresolved.append(data.strip())
            self._waiting = False


def outside(address: str) -> str | None:
    """What is wrong with an address elsewhere."""
    if not address.startswith("https://"):
        return "is not https"
    path = urlsplit(address).path
    if path.count("(") != path.count(")") or path.endswith((".", ",", ";")):
        return "does not end where it should"
    return None


def problems(folder: Path) -> list[str]:
    """Sentences about links that lead nowhere."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        name = path.relative_to(folder)
        found += [f"{name}: the cross-reference {reference!r} leads nowhere" for reference in page.unresolved]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme in ("mailto", "javascript") or parts.fragment.startswith(":~:"):  # text, not an anchor
                continue
            if parts.scheme or parts.netloc:
                wrong = outside(link)
            else:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                target = target / "index.html" if target.is_dir() else target
                anchors = pages[target].anchors if target in pages else set()
                missing = parts.fragment and target in pages and unquote(parts.fragment) not in anchors
                wrong = "has no file" if not target.exists() else "has no anchor" if missing else None
            if wrong:
                found.append(f"{name}: {link} {wrong}")
        for source, text in page.pictures:
            if not urlsplit(source).scheme and not (path.parent / unquote(source)).exists():
                found.append(f"{name}: the picture {source} is not there")
            if not (text or "").strip():
                found.append(f"{name}: the picture {source} has no alternative text")
            # what sphinx-gallery says of a figure without a title
            elif f"_{text.replace(' ', '_')}_" in source:
                found.append(f"{name}: the picture {source} has its name as alternative text: give the figure a title")
    return found


if __name__ == "__main__":
    words = problems(Path(sys.argv[1]).resolve())
    print("\n".join(words) or "All links lead somewhere.")
    sys.exit(bool(words))
