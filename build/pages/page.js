// A click on the head of a column sorts its table: by number where every cell begins with one, empty cells last.
const NUMBER = /^[[(]?([+-]?(?:\d[\d,]*)?\.?\d+(?:e[+-]?\d+)?)(?![\d:-])/i;
const EMPTY = new Set(["", "–", "nan", "None"]);

const textOf = (row, column) => row.cells[column].textContent.trim().replaceAll("−", "-");

function sort(table, column, direction) {
  const rows = [...table.tBodies[0].rows];
  const [full, empty] = [false, true].map(wanted => rows.filter(row => EMPTY.has(textOf(row, column)) === wanted));
  const numbers = full.map(row => parseFloat(textOf(row, column).match(NUMBER)?.[1].replaceAll(",", "")));
  const numeric = !numbers.some(Number.isNaN);
  const keys = new Map(full.map((row, place) => [row, numeric ? numbers[place] : textOf(row, column)]));
  const compare = numeric ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en", { numeric: true });
  full.sort((a, b) => direction * compare(keys.get(a), keys.get(b)));
  table.tBodies[0].append(...full, ...empty);
}

for (const table of document.querySelectorAll("main table")) {
  const rows = [...(table.tBodies[0]?.rows ?? [])];
  const heads = table.tHead?.rows.length === 1 ? [...table.tHead.rows[0].cells] : [];
  if (rows.length < 2 || rows.some(row => row.cells.length !== heads.length)) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    if (!button.textContent.trim()) button.ariaLabel = "row";
    button.onclick = () => {
      const direction = head.ariaSort === "ascending" ? -1 : 1;
      sort(table, column, direction);
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.ariaSort = direction === 1 ? "ascending" : "descending";
    };
    head.replaceChildren(button);
    head.scope = "col";
  });
}
