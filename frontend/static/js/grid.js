// Arrow keys move between the cells of a heat-map; without scripts every cell is reached by Tab.
const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

const table = (link) => link.closest("table");

// one stop of the Tab key per table: the cell that was looked at last, else the first
const prepare = () => {
  for (const map of document.querySelectorAll("table.heat")) {
    const links = [...map.querySelectorAll("a.cell")];
    const kept = links.find((link) => link === document.activeElement) ?? links[0];
    for (const link of links) link.tabIndex = link === kept ? 0 : -1;
  }
};

const neighbour = (link, [down, right]) => {
  const rows = [...table(link).tBodies[0].rows];
  const row = link.closest("tr");
  const cells = (of) => [...of.querySelectorAll("td")];
  let y = rows.indexOf(row);
  let x = cells(row).indexOf(link.closest("td"));
  for (;;) {
    y += down;
    x += right;
    const cell = rows[y] && cells(rows[y])[x];
    if (!cell) return null;
    const found = cell.querySelector("a.cell");
    if (found) return found;
  }
};

document.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  const link = event.target.closest?.("table.heat a.cell");
  if (!step || !link || event.ctrlKey || event.metaKey || event.altKey) return;
  const next = neighbour(link, step);
  if (!next) return;
  event.preventDefault();
  next.focus();
  prepare();
});
document.addEventListener("htmx:after:swap", prepare);
prepare();
