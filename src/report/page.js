// What a report does in the browser: draws its charts, and shows the values at the pointer.

const { charts, runs, colourCount } = JSON.parse(document.getElementById("data").textContent);

for (const [index, chart] of charts.entries()) draw(document.getElementById(`chart-${index}`), chart);

async function draw(figure, chart) {
  const plot = figure.querySelector(".plot");
  const view = new vega.View(vega.parse(chart.spec), { renderer: "svg", hover: false });
  await view.initialize(plot).data("points", rowsOf(chart)).runAsync();
  showValues(figure, plot, view, chart);
}

function rowsOf({ lines }) {
  return lines.flatMap(({ run, look, points }, line) =>
    points.map(([step, value]) => ({ step, value, look, line, colour: run % colourCount }))
  );
}

function showValues(figure, plot, view, chart) {
  const cursor = figure.appendChild(element("div", "cursor"));
  const values = figure.appendChild(element("div", "values"));
  const hide = () => cursor.hidden = values.hidden = true;
  hide();
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("pointermove", ({ clientX }) => {
    const svg = plot.querySelector("svg").getBoundingClientRect();
    const frame = figure.getBoundingClientRect();
    const left = view.origin()[0] + view.padding().left;
    const top = view.origin()[1] + view.padding().top;
    const inside = Math.min(Math.max(clientX - svg.left - left, 0), view.signal("width"));
    const step = nearestStep(chart, view.scale("x").invert(inside));
    if (step === null) return hide();
    const x = svg.left - frame.left + left + view.scale("x")(step);
    const y = svg.top - frame.top + top;
    values.replaceChildren(element("div", "", `step ${step}`), ...entriesAt(chart, step));
    cursor.hidden = values.hidden = false;
    Object.assign(cursor.style, { left: `${x}px`, top: `${y}px`, height: `${view.signal("height")}px` });
    const isRight = x > frame.width / 2;
    Object.assign(values.style, {
      top: `${y + 4}px`,
      left: isRight ? "auto" : `${x + 10}px`,
      right: isRight ? `${frame.width - x + 10}px` : "auto",
    });
  });
}

// Faint lines are behind others, whose values are shown.
function shownLines({ lines }) {
  return lines.filter(({ look }) => look !== "faint");
}

function nearestStep(chart, x) {
  const steps = shownLines(chart).flatMap(({ points }) => points.length > 0 ? [pointNear(points, x)[0]] : []);
  return steps.reduce((best, step) => best === null || Math.abs(step - x) < Math.abs(best - x) ? step : best, null);
}

function pointNear(points, step) {
  let [low, high] = [0, points.length - 1];
  while (high - low > 1) {
    const middle = low + high >> 1;
    if (points[middle][0] <= step) low = middle;
    else high = middle;
  }
  return step - points[low][0] <= points[high][0] - step ? points[low] : points[high];
}

function entriesAt(chart, step) {
  const write = vega.defaultLocale().format(chart.format);
  return shownLines(chart).flatMap(({ run, look, points }) => {
    if (step < points[0][0] || step > points.at(-1)[0]) return [];
    const entry = element("div", "");
    const swatch = entry.appendChild(element("i", "swatch"));
    swatch.style.background = `var(--run-${run % colourCount})`;
    const most = look === "dashed" ? " (most)" : "";
    const name = runs.length > 1 ? `${runs[run]}${most}: ` : most && "most: ";
    entry.append(`${name}${write(pointNear(points, step)[1])}`);
    return [entry];
  });
}

function element(tag, className, text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}
