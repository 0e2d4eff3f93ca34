// Draws a figure of panels: the page's colours, and as many columns as there is room for.
const PANEL_WIDTH = 190;
const PANEL_HEIGHT = 250;
const GAP = { x: 0.022, rows: 72, bottom: 40 };
const TITLE_HEIGHT = 36;
const CHARACTER = 6.6; // of 12 pixels, on average
const LEGEND = { sample: 44, row: 20, gap: 10, below: 6 };
const ABOVE = 34; // room for the words over a panel

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const axisNames = (layout, letter) =>
  Object.keys(layout).filter((key) => new RegExp(`^${letter}axis\\d*$`).test(key));

const domain = (index, count, gap) => {
  const size = (1 - gap * (count - 1)) / count;
  return [index * (size + gap), index * (size + gap) + size];
};

const written = (text) => text.length * CHARACTER;

// The names of a legend stand in one row, or in columns as wide as the longest.
const legendHeight = (data, width) => {
  const names = data.filter((trace) => trace.name && trace.showlegend !== false);
  if (!names.length) return 0;
  const sizes = names.map((trace) => LEGEND.sample + written(trace.name));
  const isOneRow = sizes.reduce((total, size) => total + size, 0) <= width;
  const columns = Math.max(1, Math.floor(width / Math.max(...sizes)));
  const rows = isOneRow ? 1 : Math.ceil(names.length / columns);
  return rows * LEGEND.row + (rows - 1) * LEGEND.gap + LEGEND.below;
};

const arrange = (layout, data, width) => {
  const panels = layout.meta.panels;
  // the words over a panel must not run into those of the next
  const panelWidth = Math.max(PANEL_WIDTH, ...layout.annotations.map((one) => written(one.text)));
  const fitting = Math.max(1, Math.min(panels, Math.floor(width / panelWidth)));
  const { row = 1 } = layout.meta; // panels that belong into one row
  const columns = row <= fitting ? fitting - (fitting % row) : fitting;
  const rows = Math.max(1, Math.ceil(panels / columns));
  const inner = rows * PANEL_HEIGHT + (rows - 1) * GAP.rows;
  const inside = width - layout.margin.l - layout.margin.r;
  const top = ABOVE + legendHeight(data, inside);
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

const HEX = /^#[0-9a-f]{6}([0-9a-f]{2})?$/i;

const parts = (hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));

// In the dark all colours are mixed with that of text alike: their order stays, all can be seen.
const lifted = (value, share, text) => {
  if (Array.isArray(value)) return value.map((one) => lifted(one, share, text));
  if (!HEX.test(value)) return value;
  const mixed = parts(value).map((part, at) => Math.round(part + share * (text[at] - part)));
  return `#${mixed.map((part) => part.toString(16).padStart(2, "0")).join("")}${value.slice(7)}`;
};

const recoloured = (trace, share, text) =>
  Object.fromEntries(
    Object.entries(trace).map(([name, value]) => {
      if (/^(fill)?color$/.test(name)) return [name, lifted(value, share, text)];
      const isPart = value && typeof value === "object" && !Array.isArray(value);
      return [name, isPart ? recoloured(value, share, text) : value];
    }),
  );

const seen = (data) => {
  const share = Number(colour("--lift"));
  return share ? data.map((trace) => recoloured(trace, share, parts(colour("--text")))) : data;
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
  arrange(layout, figure.data, width);
  paint(layout);
  layout.width = width;
  return window.Plotly.react(element, seen(figure.data), layout, {
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
