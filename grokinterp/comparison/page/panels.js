// Small multiples: accuracy and loss of every setting over the same axes, a line a run that went beyond step 0.

const FIRST_PANELS = 12;

/** The runs of each setting that have something to draw. */
const members = run.settings.map((_, setting) => runs.map((_one, i) => i).filter((i) => runs[i].setting === setting && isDrawable(runs[i])));

function isDrawable(one) {
  return Boolean(one.curves.step) && numbers(one.curves.step).some((step) => step > 0);
}

/** A run's curves: train and test, accuracy above and loss below. */
function runTraces(i) {
  const one = runs[i];
  const followed = i === state.followed;
  const steps = numbers(one.curves.step); // step 0 has no place on the axis
  const from = steps.findIndex((step) => step > 0);
  const rival = state.followed !== null && runs[state.followed].setting === one.setting && !followed;
  const seeds = factors.map((factor, f) => (factor.seed ? `${factor.label} ${valueOf(one, f)}` : "")).filter(Boolean);
  const label = plain(seeds.join(", ") || one.name);
  return ["accuracy", "loss"].flatMap((quantity, row) => ["train", "test", "all"].filter((split) => one.curves[`${split}_${quantity}`]).map((split) => {
    const values = numbers(one.curves[`${split}_${quantity}`]).slice(from);
    return {
      type: "scatter", mode: steps.length > 2 ? "lines" : "lines+markers", x: steps.slice(from), yaxis: row ? "y2" : "y", customdata: steps.map(() => i),
      y: row ? values.map((value) => (value > 0 ? value : run.ranges.loss[0])) : values,
      name: `${split}, ${label}`, hovertemplate: `%{x}: ${row ? "%{y:.3g}" : "%{y:.4f}"}`, opacity: rival ? 0.22 : 0.85,
      line: { color: run.palette.splits[theme][split], width: followed ? 3 : 1.3 }, marker: { size: 4 },
    };
  }));
}

/** Dotted where the followed run memorised and grokked. */
function eventLines(setting) {
  const one = state.followed === null ? null : runs[state.followed];
  if (!one || one.setting !== setting || !state.shown[state.followed]) return [];
  return [[one.memorization, "train"], [one.generalization, "test"]].filter(([step]) => step > 0).map(([step, split]) => ({
    type: "line", xref: "x", yref: "paper", x0: step, x1: step, y0: 0, y1: 1,
    line: { width: 1.5, dash: "dot", color: run.palette.splits[theme][split] },
  }));
}

PAINTERS.panel = (view, card) => {
  const mine = members[view.setting];
  const visible = mine.filter((i) => state.shown[i]);
  const here = mine.includes(state.followed);
  card.root.classList.toggle("followed", here);
  const others = visible.filter((i) => i !== state.followed);
  const [low, high] = run.ranges.loss.map(Math.log10);
  const room = 0.04 * (high - low || 1);
  const known = mine.filter((i) => runs[i].known);
  const grokked = known.filter((i) => runs[i].generalization !== null).length;
  const axis = { ...stepsAxis(5), tickfont: { size: 9 }, title: { text: "optimizer step", font: { size: 10 }, standoff: 4 } };
  const small = (title) => ({ title: { text: title, font: { size: 10 }, standoff: 4 }, tickfont: { size: 9 } });
  return {
    traces: [...others, ...visible.filter((i) => i === state.followed)].flatMap(runTraces),
    layout: {
      xaxis: { ...axis, anchor: "y2" }, showlegend: false, hovermode: "closest", shapes: eventLines(view.setting), margin: { l: 46, r: 6, t: 6, b: 34 },
      yaxis: { ...small("accuracy"), domain: [0.56, 1], range: [-0.04, 1.04], dtick: 0.5 },
      yaxis2: { ...small("loss (nats)"), domain: [0, 0.46], type: "log", range: [low - room, high + room], exponentformat: "power", nticks: 4 },
    },
    when: here ? `followed: ${runs[state.followed].name}` : `${grokked} of ${known.length} grokked${visible.length < mine.length ? `, ${visible.length} shown` : ""}`,
  };
};
PAINTERS.panel.concerns = (view, before) => {
  const mine = members[view.setting];
  return (before.followed !== state.followed && (mine.includes(before.followed) || mine.includes(state.followed)))
    || mine.some((i) => before.shown[i] !== state.shown[i]);
};
PAINTERS.panel.prepare = (_view, card) => {
  card.plot.classList.add("small");
  card.click = (point) => follow(point.customdata);
};

/** Panels that hold no shown run are left out, and after the first dozen only those of the followed run, until asked. */
function showPanels(panels, more) {
  const alive = panels.filter(({ setting }) => members[setting].some((i) => state.shown[i]));
  const first = alive.slice(0, more.dataset.all ? alive.length : FIRST_PANELS);
  panels.forEach((panel) => {
    panel.card.hidden = !first.includes(panel) && !(alive.includes(panel) && members[panel.setting].includes(state.followed));
  });
  more.hidden = first.length === alive.length;
  more.textContent = `show all ${alive.length} panels`;
}

function makePanels() {
  const grid = document.getElementById("panels");
  const panels = run.settings.map((title, setting) => ({ setting, title })).filter(({ setting }) => members[setting].length);
  for (const panel of panels) {
    panel.card = makeCard({ name: `panel-${panel.setting}`, painter: "panel", title: panel.title, setting: panel.setting });
    grid.append(panel.card);
  }
  if (!panels.length) grid.append(element("p", { text: "No run has evaluations after step 0." }));
  const more = element("button", { type: "button", id: "more" });
  more.addEventListener("click", () => {
    more.dataset.all = "true";
    showPanels(panels, more);
  });
  grid.after(more);
  listeners.push(() => showPanels(panels, more));
  showPanels(panels, more);
}

function drawCurveNames() {
  const found = ["train", "test", "all"].filter((split) => runs.some((one) => one.curves[`${split}_accuracy`] || one.curves[`${split}_loss`]));
  document.getElementById("curve-names").replaceChildren(...found.map((split) => {
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = run.palette.splits[theme][split];
    return element("li", { children: [swatch, element("span", { text: `${split} pairs` })] });
  }));
}
