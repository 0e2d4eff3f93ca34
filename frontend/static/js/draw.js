// Draws a figure of panels: the page's colours, and as many columns as there is room for.
const PANEL_WIDTH = 190;
const PANEL_HEIGHT = 250;
const GAP = { x: 0.022, rows: 72, bottom: 40 };
const TITLE_HEIGHT = 36;
const NARROW = 480; // below this the legend needs three lines

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const axisNames = (layout, letter) =>
  Object.keys(layout).filter((key) => new RegExp(`^${letter}axis\\d*$`).test(key));

const domain = (index, count, gap) => {
  const size = (1 - gap * (count - 1)) / count;
  return [index * (size + gap), index * (size + gap) + size];
};

const arrange = (layout, width) => {
  const panels = layout.meta.panels;
  const fitting = Math.max(1, Math.min(panels, Math.floor(width / PANEL_WIDTH)));
  const { row = 1 } = layout.meta; // panels that belong into one row
  const columns = row <= fitting ? fitting - (fitting % row) : fitting;
  const rows = Math.max(1, Math.ceil(panels / columns));
  const inner = rows * PANEL_HEIGHT + (rows - 1) * GAP.rows;
  const top = width < NARROW ? 112 : 60;
  layout.height = inner + top + GAP.bottom;
  layout.margin = { ...layout.margin, t: top, b: GAP.bottom };
  for (let panel = 0; panel < panels; panel += 1) {
    const suffix = panel === 0 ? "" : String(panel + 1);
    const column = panel % columns;
    const row = Math.floor(panel / columns);
    const [low, high] = domain(rows - 1 - row, rows, GAP.rows / inner);
    Object.assign(layout[`xaxis${suffix}`], { domain: domain(column, columns, GAP.x) });
    layout[`xaxis${suffix}`].title = { text: layout.meta.xTitle ?? "width", standoff: 4 };
    Object.assign(layout[`yaxis${suffix}`], { domain: [low, high], showticklabels: column === 0 });
    layout[`yaxis${suffix}`].title = { text: column === 0 ? layout.meta.yTitle : "", standoff: 6 };
  }
};

const paint = (layout) => {
  const text = colour("--muted");
  const line = colour("--line");
  const family = getComputedStyle(document.body).fontFamily;
  layout.font = { family, size: 12, color: text };
  layout.hoverlabel = {
    bgcolor: colour("--surface"),
    bordercolor: colour("--line-strong"),
    font: { family, size: 12, color: colour("--text") },
  };
  for (const key of [...axisNames(layout, "x"), ...axisNames(layout, "y")]) {
    Object.assign(layout[key], {
      gridcolor: line, linecolor: line, zeroline: false, fixedrange: true, tickfont: { size: 11 },
    });
    layout[key].title = { ...layout[key].title, font: { size: 11, color: text } };
  }
  for (const note of layout.annotations) {
    note.font = { size: 12, color: colour("--text") };
    note.yshift = 4;
  }
};

export const draw = (element, figure) => {
  const layout = structuredClone(figure.layout);
  const width = element.clientWidth;
  if (!layout.meta.panels) {
    // the caption says so in words; an empty frame would say it again
    element.classList.add("empty-plot");
    return undefined;
  }
  element.classList.remove("empty-plot");
  if (!element.classList.contains("js-plotly-plot")) element.textContent = "";
  arrange(layout, width);
  paint(layout);
  layout.width = width;
  return window.Plotly.react(element, figure.data, layout, {
    displayModeBar: false,
    responsive: false,
    doubleClick: false,
  });
};

// A picture that leaves the page says what it shows, and brings its background along.
export const titled = (plot, title) => {
  const layout = structuredClone(plot.layout);
  const height = layout.height + TITLE_HEIGHT;
  Object.assign(layout, {
    height,
    margin: { ...layout.margin, t: layout.margin.t + TITLE_HEIGHT },
    legend: { ...layout.legend, y: 1 - TITLE_HEIGHT / height },
    paper_bgcolor: colour("--surface"),
    title: {
      text: title.replaceAll("<", "&lt;"), x: 0, xref: "paper", y: 1, yref: "container",
      yanchor: "top", pad: { t: 12 }, font: { size: 15, color: colour("--text") },
    },
  });
  return { data: plot.data, layout };
};

export const redrawWhenNeeded = (redraw) => {
  let waiting = 0;
  const soon = () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(redraw);
  };
  window.addEventListener("resize", soon);
  document.addEventListener("theme", soon);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", soon);
};
