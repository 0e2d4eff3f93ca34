// In the report file: draw every figure from the data block beside it. Follows draw.js in one
// module, so that the file needs no import and no request.
const reportFigures = [...document.querySelectorAll("[data-figure-of]")].map((element) => [
  element,
  JSON.parse(document.getElementById(element.dataset.figureOf).textContent),
]);
const drawAll = () => reportFigures.forEach(([element, figure]) => draw(element, figure));

drawAll();
redrawWhenNeeded(drawAll);
