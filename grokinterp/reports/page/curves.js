// Lines over steps, with the phases behind and a cursor at the chosen checkpoint.

const FLOOR = 1e-12;

/** Phases as shapes, the step at which test accuracy passed one half, and the cursor. */
function behind({ shaded = true } = {}) {
  const shapes = (shaded ? run.phases : []).map((phase) => ({
    type: "rect", xref: "x", yref: "paper", x0: phase.start, x1: phase.end, y0: 0, y1: 1, layer: "below",
    line: { width: 0 }, fillcolor: phaseColor(phase.name),
  }));
  const line = (x, style) => ({ type: "line", xref: "x", yref: "paper", x0: x, x1: x, y0: 0, y1: 1, line: style });
  const half = run.events.half_accuracy;
  if (half !== null) shapes.push(line(half, { color: ground().soft, width: 1, dash: "dash" }));
  shapes.push(line(stepNow(), { color: ground().ink, width: 2 }));
  return shapes;
}

function stepAxis() {
  return { title: "optimizer step", range: [-0.01 * run.lastStep, 1.01 * run.lastStep || 1], hoverformat: "d" };
}

/** Where a value is drawn: on a logarithmic axis 0 stands at the floor, and below 0 there is no place. */
function drawn(value, floor) {
  if (value === null || !floor || value > floor) return value;
  return value < 0 ? null : floor;
}

/** Traces of a view's curves; hovering says each value as it is. */
function lines(curves, marked, floor) {
  return curves.map((curve) => ({
    type: "scatter", mode: marked || curve.steps.length < 2 ? "lines+markers" : "lines",
    name: plain(curve.label), x: curve.steps, y: curve.values.map((value) => drawn(value, floor)), customdata: curve.values,
    line: { color: colorOf(curve.color), width: curve.dash === "solid" ? 2 : 1.5, dash: curve.dash },
    marker: { size: 5, color: colorOf(curve.color) },
    hovertemplate: "%{customdata}",
  }));
}

function valueAxis(view) {
  const axis = { title: plain(view.axis) };
  if (view.log) Object.assign(axis, { type: "log", exponentformat: "power", nticks: 7, tickfont: { size: 9 } });
  if (view.zero) axis.rangemode = "tozero";
  if (view.range) axis.range = view.range;
  return axis;
}

function curveFigure(view) {
  const more = view.followed && view.followed[state.followed];
  const traces = lines(more ? [...view.curves, more] : view.curves, view.marked, view.log ? FLOOR : 0);
  const layout = { xaxis: stepAxis(), yaxis: valueAxis(view), shapes: behind(), hovermode: "x unified" };
  return { traces, layout, when: valuesNow(view.curves.filter((curve) => curve.dash === "solid").slice(0, 5)) };
}

/** Each curve's value at the chosen checkpoint, or at the last point before it. */
function valuesNow(curves) {
  const known = curves.filter((curve) => curve.steps.length && curve.steps[0] <= stepNow());
  const parts = known.map((curve) => `${curve.label} ${shown(curve.values[latest(curve.steps, stepNow())])}`);
  return `step ${stepNow()}: ${parts.join(", ")}`;
}

for (const name of ["loss", "accuracy", "progress", "weight_norm", "flatness", "irreps"]) {
  PAINTERS[name] = curveFigure.bind(null);
  PAINTERS[name].prepare = (_view, card) => { card.click = (point) => goTo(point.x); };
}
PAINTERS.progress.follows = true;

let chosenCurve = 0;
PAINTERS.declared = (view) => {
  const curve = view.choices[chosenCurve];
  const layout = { xaxis: stepAxis(), yaxis: { title: plain(curve.axis) }, shapes: behind(), hovermode: "x unified", showlegend: false };
  return { traces: lines([curve], curve.steps.length < 20), layout, when: curve.about };
};
PAINTERS.declared.prepare = (view, card) => {
  const options = view.choices.map((curve, i) => [String(i), curve.label]);
  card.select = choice(card, "which curve", options, "0", (value) => { chosenCurve = Number(value); });
  card.click = (point) => goTo(point.x);
};

/** Show a curve of the leads in the card that shows any of them. */
function chooseCurve(label, measure) {
  const card = cards.find((one) => one.view.name === "declared");
  const place = card ? card.view.choices.findIndex((c) => c.label === label && c.measure === measure) : -1;
  if (place < 0) return;
  chosenCurve = place;
  card.select.value = String(place);
  redraw(card);
}

PAINTERS.moves = (view) => {
  const { ink } = ground();
  const rows = [...view.rows].reverse();
  const places = rows.map((_, i) => i);
  const about = rows.map((row) => {
    const lead = row.lead ? `<br>${row.lead[0]} steps before test accuracy 1/2 (between ${row.lead[1]} and ${row.lead[2]})` : "";
    return `${plain(row.label)} (${plain(row.measure)})<br>${plain(row.rule)}<br>in steps ${row.after} to ${row.until}${lead}`;
  });
  const trace = {
    type: "scatter", mode: "markers", x: rows.map((row) => (row.after + row.until) / 2), y: places,
    marker: { size: 8, color: rows.map((row) => (row.until <= stepNow() ? run.palette.cycle[theme][0] : ground().faint)), line: { color: ink, width: 0.5 } },
    error_x: {
      type: "data", array: rows.map((row) => (row.until - row.after) / 2), color: ground().soft, thickness: 2, width: 0,
    },
    customdata: rows.map((row) => [row.label, row.measure]),
    text: about, hovertemplate: "%{text}<extra></extra>",
  };
  const narrow = window.innerWidth < 600;
  const short = (text) => (narrow && text.length > 19 ? `${text.slice(0, 18)}…` : text);
  const yaxis = {
    tickvals: places, ticktext: rows.map((row) => plain(short(row.label))), range: [-0.6, rows.length - 0.4],
    tickfont: { size: narrow ? 9 : 10 },
  };
  const done = view.rows.filter((row) => row.until <= stepNow()).length;
  return {
    traces: [trace],
    layout: { xaxis: stepAxis(), yaxis, shapes: behind(), showlegend: false, hovermode: "closest" },
    when: `${done} of ${view.rows.length} have moved by step ${stepNow()}.`,
  };
};
PAINTERS.moves.prepare = (view, card) => {
  card.plot.style.height = `${Math.max(300, 90 + 17 * view.rows.length)}px`;
  card.click = (point) => chooseCurve(...point.customdata);
};
