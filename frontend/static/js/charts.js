// Charts of a study: each is fetched when it comes into view, and again while it is measured.
import { draw, redrawWhenNeeded, titled } from "./draw.js";

const REFETCH_MS = 1500; // drawing costs the machine that trains a tenth of a second
const BUSY = [429, 503]; // the server says so when many draw at once
const charts = new Map();

const reason = async (response) => {
  try {
    return (await response.json()).error.message;
  } catch {
    return `the server answered with status ${response.status}`;
  }
};

const fetchFigure = async (element) => {
  const state = charts.get(element);
  if (state.busy) {
    state.stale = true;
    return;
  }
  state.busy = true;
  state.stale = false;
  try {
    const response = await fetch(element.dataset.figure, { headers: { Accept: "application/json" } });
    if (BUSY.includes(response.status)) state.stale = true;
    if (!response.ok) throw new Error(await reason(response));
    state.figure = await response.json();
    await draw(element, state.figure);
    describe(element, state.figure.layout.meta);
  } catch (error) {
    if (!state.figure) element.textContent = `This chart could not be drawn: ${error.message}`;
  }
  setTimeout(() => {
    state.busy = false;
    if (state.stale && state.visible) fetchFigure(element);
  }, REFETCH_MS);
};

const describe = (element, { summary, panels }) => {
  const figure = element.closest("figure");
  if (summary) figure.querySelector("figcaption").textContent = summary;
  for (const button of figure.querySelectorAll("[data-save]")) button.hidden = !panels;
};

const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const state = charts.get(entry.target);
      state.visible = entry.isIntersecting;
      if (state.visible && (!state.figure || state.stale)) fetchFigure(entry.target);
    }
  },
  { rootMargin: "300px" },
);

for (const element of document.querySelectorAll("[data-figure]")) {
  charts.set(element, { visible: false, busy: false, stale: false, figure: null });
  observer.observe(element);
}

document.body.addEventListener("live:figures", () => {
  for (const [element, state] of charts) {
    state.stale = true;
    if (state.visible) fetchFigure(element);
  }
});

redrawWhenNeeded(() => {
  for (const [element, state] of charts) if (state.figure) draw(element, state.figure);
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-save]");
  if (!button) return;
  const plot = button.closest("figure").querySelector(".plot");
  const filename = `muscope ${plot.dataset.title}`.replace(/[^\w.-]+/g, "-");
  const { data, layout } = titled(plot, plot.dataset.title);
  const { width, height } = layout;
  window.Plotly.downloadImage(
    { data, layout },
    { format: button.dataset.save, filename, width, height, scale: 2 },
  );
});
