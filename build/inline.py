"""Build the kernels: percent scripts become dist/kernels/.

python -m build.inline --owner me                                        all of them
python -m build.inline --owner me --from dataset                         05 and 06 read the dataset pantanal-weights
python -m build.inline --set "l2=0.3" pantanal-02-fold-training          a variant, in a kernel of its own
"""

import ast
import hashlib
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from build.cli.exit_codes import Parser, end, tool
from build.kernels import metadata, variants
from build.kernels.cells import lib_cells, lib_digest, stamp_text
from build.kernels.closure import Closure, closure_of
from build.kernels.screening import refuse_secrets_and_local_paths
from build.notebooks.assignments import assign
from build.notebooks.values import convert_parameters
from build.project import ROOT
from lib.core.errors import BadInput

SIZE_LIMIT_BYTES = 950_000  # Kaggle refuses 1,000,000; the client sends every non-ASCII letter as an escape
KEPT_METADATA = ("tags", "jupyter", "_kg_hide-input", "_kg_hide-output")
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


@dataclass(frozen=True)
class Kernel:
    """One built kernel: the texts of its folder, and the numbers of its table row."""

    name: str
    notebook: str
    metadata: str
    cells: int
    closure: Closure
    digest: str
    sent_bytes: int


def build(
    root: Path,
    owner: str = metadata.DEFAULT_OWNER,
    names: list[str] | None = None,
    given: str = "",
    source: str = "kernels",
    gpu: bool = False,
) -> list[Kernel]:
    """Build the named kernels, or all, into dist/kernels/; after any error that folder is as it was before.

    Parameters `given`, such as "fold=0", make a variant of each kernel that has them: beside the six, or in the place
    of those named. `source` is where 05 and 06 find their inputs; with `gpu` they request GPUs.
    """
    root = root.resolve()
    known = metadata.load_metadata(root)
    if unknown := [name for name in names or [] if name not in known]:
        raise BadInput(
            f"no kernel {', '.join(unknown)}",
            expected=f"one of {', '.join(known)}",
            got=", ".join(unknown),
            do=f"name one of the folders of {metadata.FOLDER}/",
        )
    sources = {name: root / metadata.source_of(name) for name in names or known}
    values = assign(list(sources.values()), given)
    for_kaggle = {name: metadata.for_owner(metadata.with_chain(known[name], source), owner) for name in names or known}
    if gpu:
        for_kaggle = {name: metadata.with_gpu(one) for name, one in for_kaggle.items()}
    built = [] if given and names else [build_kernel(root, name, one, {}) for name, one in for_kaggle.items()]
    for name, one in for_kaggle.items():
        if variant := values[sources[name]]:
            built.append(build_kernel(root, name, one, variant))
    _write(root / "dist" / "kernels", built, replace_all=not names)
    return built


def build_kernel(root: Path, name: str, for_kaggle: dict, values: dict[str, object]) -> Kernel:
    """Build one kernel in memory, or with values its variant; every check has passed."""
    source = metadata.source_of(name)
    if not (root / source).is_file():
        raise BadInput(
            f"{name}: its source is missing",
            expected=f"a percent script {source}",
            got="no such file",
            do=f"write it, or remove {metadata.FOLDER}/{name}",
        )
    text = (root / source).read_text(encoding="utf-8")
    converted = convert_parameters(root / source, values) if values else {}
    for_kaggle = variants.variant_metadata(for_kaggle, converted)
    closure = closure_of(root, source)
    files = {label: (root / label).read_bytes() for label in closure.files}
    written = json.dumps(for_kaggle, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    texts = {label: data.decode("utf-8") for label, data in files.items()}
    texts |= {source: text, f"{metadata.FOLDER}/{name}": written, "the parameters given": json.dumps(values)}
    refuse_secrets_and_local_paths(root, texts)
    digest = lib_digest(files)
    notebook = _notebook(source, text, files, digest, converted)
    sent = len(json.dumps(notebook))  # ASCII, so characters are bytes
    if sent >= SIZE_LIMIT_BYTES:
        raise _too_large(name, sent, files)
    import nbformat  # late, like jupytext: they take seconds, which a check of parameters need not wait for

    nbformat.validate(nbformat.from_dict(notebook))
    slug = for_kaggle["id"].partition("/")[2]
    return Kernel(slug, _on_disk(notebook), written, len(notebook["cells"]), closure, digest, sent)


def _notebook(source: str, text: str, files: dict[str, bytes], digest: str, converted: dict[str, object]) -> dict:
    """The notebook: the script's cells, values set in one, the stamp, lib cells before the first that needs them."""
    import jupytext

    cells = [
        (cell.cell_type, cell.source, {key: cell.metadata[key] for key in KEPT_METADATA if key in cell.metadata})
        for cell in jupytext.reads(text, fmt="py:percent").cells
    ]
    if converted:
        index = next(index for index, cell in enumerate(cells) if "parameters" in cell[2].get("tags", []))
        cells[index] = (cells[index][0], variants.with_values(cells[index][1], converted), cells[index][2])
    if files:
        first = next((index for index, cell in enumerate(cells) if cell[0] == "code" and imports_lib(cell[1])), 0)
        cells[first:first] = lib_cells(files)
    titled = bool(cells) and cells[0][0] == "markdown"
    cells.insert(1 if titled else 0, ("markdown", stamp_text(source, text, digest), {}))
    made_of: dict[str, object] = {"lib_fingerprint": digest, "source": source}
    made_of |= {"parameters": {name: str(value) for name, value in converted.items()}} if converted else {}
    return {
        "cells": [_cell(index, *cell) for index, cell in enumerate(cells)],
        "metadata": {**NOTEBOOK_METADATA, "pantanal": made_of},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(index: int, kind: str, source: str, kept: dict) -> dict:
    """One cell with an id that depends on nothing but its place and content."""
    made_of = f"{index}\0{kind}\0{source}".encode()
    cell = {"cell_type": kind, "id": hashlib.sha256(made_of).hexdigest()[:12], "metadata": kept, "source": source}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def imports_lib(source: str) -> bool:
    """True when a cell imports lib at any depth; lines of magics, and cells in another language, are skipped."""
    if re.match(r"%%(?!time|capture|prun)", source):
        return False
    plain = re.sub(r"(?m)^([ \t]*)[%!].*$", r"\1pass", source)
    nodes = list(ast.walk(ast.parse(plain)))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    modules += [name for node in nodes if (name := _module_argument(node))]
    return any(module.partition(".")[0] == "lib" for module in modules)


def _module_argument(node: ast.AST) -> str:
    """The module of lib that a call names in its first argument, or nothing."""
    first = node.args[0] if isinstance(node, ast.Call) and node.args else None
    text = first.value if isinstance(first, ast.Constant) else None
    return text if isinstance(text, str) and text.startswith("lib.") else ""


def _on_disk(notebook: dict) -> str:
    """The notebook as sorted JSON, sources as lists of lines, so that two builds are one and diffs are readable."""
    cells = [{**cell, "source": cell["source"].splitlines(keepends=True)} for cell in notebook["cells"]]
    return json.dumps({**notebook, "cells": cells}, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _too_large(name: str, sent: int, files: dict[str, bytes]) -> BadInput:
    """The error for a kernel over the limit, with the files that weigh most."""
    heavy = sorted(files, key=lambda label: -len(files[label]))[:5]
    return BadInput(
        f"{name}: too large for Kaggle",
        expected=f"under {SIZE_LIMIT_BYTES:,} bytes as the client sends it",
        got=f"{sent:,} bytes; heaviest: " + ", ".join(f"{label} {len(files[label]):,}" for label in heavy),
        do="move data out of the code, or import less (letters beyond ASCII cost six bytes and more)",
    )


def _write(target: Path, kernels: list[Kernel], replace_all: bool) -> None:
    """Write the kernels beside the target, then swap folders in; nothing half-written is ever in place."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".kernels-", dir=target.parent) as scratch:
        made = Path(scratch, "made")
        for kernel in kernels:
            folder = made / kernel.name
            folder.mkdir(parents=True)
            (folder / f"{kernel.name}.ipynb").write_text(kernel.notebook, encoding="utf-8", newline="\n")
            (folder / metadata.FILE).write_text(kernel.metadata, encoding="utf-8", newline="\n")
        pairs = [(made, target)] if replace_all else [(made / one.name, target / one.name) for one in kernels]
        for number, (new, old) in enumerate(pairs):
            old.parent.mkdir(parents=True, exist_ok=True)
            if old.exists():
                shutil.move(old, Path(scratch, f"old-{number}"))
            new.rename(old)


def table(kernels: list[Kernel]) -> str:
    """A table of the kernels, one a line."""
    rows = [("kernel", "cells", "modules", "kB", "digest", "third-party imports")]
    for k in kernels:
        numbers = (str(k.cells), str(len(k.closure.files)), f"{k.sent_bytes / 1000:.1f}")
        rows.append((k.name, *numbers, k.digest, " ".join(k.closure.third_party)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)).rstrip() for row in rows)


@tool
def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = Parser(__doc__)
    parser.add_argument("--owner", default=metadata.DEFAULT_OWNER, help="your Kaggle user name (default: %(default)s)")
    parser.add_argument(
        "--from", dest="chain", choices=metadata.CHAINS, default="kernels", help="where 05 and 06 find their inputs"
    )
    parser.add_argument("--set", default="", metavar="'[NN:]NAME=VALUE …'", help="parameters: variants of kernels")
    parser.add_argument("kernels", nargs="*", metavar="kernel", help="folders of kernel-metadata/ (default: all)")
    given = parser.parse_args(arguments)
    print(table(build(ROOT, given.owner or metadata.DEFAULT_OWNER, given.kernels, given.set, given.chain)))
    return 0


if __name__ == "__main__":
    end(main)
