"""Refuse kernels that would publish secrets or absolute local paths."""

import re
from pathlib import Path

from lib.core.errors import BadInput

_NAME = r"(?:api_?key|passw(?:or)?d|secret|access_?token|kaggle_key)\w*"  # no prefix: searching stays linear
_SECRETS = {
    "a Kaggle token": re.compile(r"KGAT_[A-Za-z0-9]{8,}"),
    "a kaggle.json key": re.compile(r"""["']key["']\s*:\s*["'][0-9a-f]{32}["']"""),
    "a literal under a secret's name": re.compile(
        rf"""(?i){_NAME}["'\]]*\s*(?::\s*\w+\s*)?[:=]\s*["'][^"'\s]{{4,}}["']"""
    ),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
}
_PATHS = re.compile(
    r"(?<![\w.}])/(?:home|Users|root)/[\w.-]+"  # a home folder, not the middle of an address or of another path
    r"|(?<![A-Za-z0-9_])[A-Z]:(?:\\\\\w|\\(?![nrt])\w{2,}|[\\/]+Users\b)"  # a Windows drive
)


def refuse_secrets_and_local_paths(root: Path, texts: dict[str, str]) -> None:
    """Raise one error that lists file:line and kind of every secret and local path in texts (label -> content)."""
    own = re.compile(re.escape(str(root)) + r"(?![\w-])")
    hits = []
    for label, text in texts.items():
        for number, line in enumerate(text.split("\n"), start=1):
            kinds = [kind for kind, pattern in _SECRETS.items() if pattern.search(line)]
            path = own.search(line) or _PATHS.search(line)
            kinds += [f"a local path ({path[0]})"] if path else []
            hits += [f"{label}:{number}: {kind}" for kind in kinds]
    if hits:
        raise BadInput(
            "text that must not be published:" + "".join(f"\n  - {hit}" for hit in hits),
            expected="no secrets, and no paths of one machine",
            got=f"{len(hits)} such lines",
            do="read secrets from the environment, find files with lib.core.paths; revoke a leaked secret",
        )
