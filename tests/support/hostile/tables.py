"""Seeded mutations of a competition's tables: bytes cut, rows and columns moved, cells replaced."""

import csv
import io

HOSTILE_CELLS = [
    "",
    "nan",
    "1e999",
    "-" * 20_000,
    "[" * 3_000,
    "['a'",
    "__import__('os').getcwd()",
    "/etc/passwd",
    "../../etc/hosts",
    "..\\x.ogg",
    "x" * 5_000,
    "\x00",
    "²",
    "٣",
    "99999999999999999999999999",
    "999",
    "-77",
    "Alien",
    "=1+1",
    '"',
    "a,b",
    "a\nb",
    "BC2026_Test_0001_S05_20250227_010002.ogg",
    "BC2026_Train_0001_S05_00000000_010002.ogg",
    "00:00:61",
    "00:99:99",
    "\ufeff",
    "nobody/XC1.ogg",
]


def cut(data, rng):
    return data[: rng.integers(len(data))]


def row_cut(data, rng):
    """A row that ends too early, in the middle of the file."""
    lines = data.splitlines(keepends=True)
    at = int(rng.integers(len(lines)))
    return b"".join([*lines[:at], lines[at][: rng.integers(len(lines[at]))], b"\n", *lines[at + 1 :]])


def rows_dropped(data, rng):
    lines = data.splitlines(keepends=True)
    at = int(rng.integers(len(lines)))
    del lines[at : at + int(rng.integers(1, 1 + len(lines) // 2))]
    return b"".join(lines)


def rows_doubled(data, rng):
    lines = data.splitlines(keepends=True)
    return b"".join([*lines, *(lines[n] for n in rng.integers(len(lines), size=3))])


def bits(data, rng):
    data = bytearray(data)
    for at in rng.integers(len(data), size=rng.integers(1, 4)):
        data[at] ^= 1 << rng.integers(8)
    return bytes(data)


def encoding(data, rng):
    return [
        lambda: data.decode().encode("utf-16"),
        lambda: "é".join(data.decode().split(",", 3)).encode("latin-1", "replace"),
        lambda: b"\xef\xbb\xbf" + data,
        lambda: data.replace(b"\n", b"\r\n"),
        lambda: data.replace(b"\n", b"\r"),
        lambda: data.replace(b",", b";"),
        lambda: data + b"\x1a",
    ][rng.integers(7)]()


def columns(data, rng):
    """Columns doubled, renamed, moved, dropped or added."""
    rows = list(csv.reader(io.StringIO(data.decode())))
    width = len(rows[0])
    one, other = (int(n) for n in rng.integers(width, size=2))
    kind = int(rng.integers(5))
    for n, row in enumerate(rows):
        if kind == 0:
            row.append(row[one])
        elif kind == 1 and not n:
            row[one] = str(rng.choice(["", "Unnamed: 0", "x", row[other]]))
        elif kind == 2:
            row[one], row[other] = row[other], row[one]
        elif kind == 3:
            del row[one]
        elif kind == 4:
            row.insert(one, "extra" if not n else "1")
    return _bytes(rows)


def cells(data, rng):
    rows = list(csv.reader(io.StringIO(data.decode())))
    for _ in range(rng.integers(1, 4)):
        row = rows[rng.integers(len(rows))]
        row[rng.integers(len(row))] = str(rng.choice(HOSTILE_CELLS))
    return _bytes(rows)


def quotes(data, rng):
    at = int(rng.integers(len(data)))
    return data[:at] + [b'"', b'""', b"'", b"\0", b"\n", b","][rng.integers(6)] + data[at:]


def _bytes(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


MUTATIONS = [cut, cut, row_cut, row_cut, rows_dropped, rows_doubled, bits, encoding, columns, cells, cells, quotes]
MEANING_KEPT = {cut, row_cut, rows_dropped, rows_doubled, encoding, columns}  # a cell may be another, and right
