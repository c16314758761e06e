"""A page as a strict reader sees it: its landmarks, names, links and images."""

from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class _Reader(HTMLParser):
    """Collect the tags with their attributes."""

    def __init__(self):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def tags_of(page: Path) -> list[tuple[str, dict]]:
    """The start tags of a page in order, with their attributes."""
    reader = _Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader.tags


def links_of(page: Path, mark: str = "") -> list[Path]:
    """The files that the page links, or those of the link with this `aria-current`."""
    linked = [known for tag, known in tags_of(page) if tag == "a" and (not mark or known.get("aria-current") == mark)]
    files = [urlsplit(known["href"]) for known in linked]
    return [(page.parent / unquote(file.path)).resolve() for file in files if file.path]


def faults_of(page: Path) -> list[str]:
    """What keeps a reader from the page: landmarks, names, descriptions or files that are missing."""
    tags = tags_of(page)
    faults = [f"no {tag}" for tag in ("main", "nav", "title", "h1") if tag not in dict(tags)]
    if dict(tags)["html"].get("lang") != "en" or not any(known.get("name") == "viewport" for _, known in tags):
        faults.append("no language or no viewport")
    names = Counter(known["id"] for _, known in tags if "id" in known)
    faults += [f"twice: {name}" for name, times in names.items() if times > 1]
    faults += ["an image without description" for tag, known in tags if tag == "img" and not known.get("alt")]
    faults += ["an SVG without description" for tag, known in tags if tag == "svg" and not known.get("aria-label")]
    for tag, known in tags:
        address = urlsplit(known.get("href" if tag == "a" else "src") or "")
        if address.scheme not in ("", "data") or (tag == "link" and "href" in known):
            faults.append(f"from elsewhere: {address.geturl()[:80]}")
        elif tag == "a" and not address.path and address.fragment not in names:
            faults.append(f"no anchor {address.fragment}")
    return faults + [f"no file {place}" for place in links_of(page) if not place.is_file()]
