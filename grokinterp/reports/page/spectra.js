// What stands over frequencies.

const viewNamed = (name) => run.views.find((view) => view.name === name);
const MATRIX_NAMES = { W_E: "W_E, embedding", W_U: "W_U, unembedding", W_L: "W_L, neuron-logit map" };
let spectrumMatrix = "W_E";

/** The norms of the chosen matrix as rows of checkpoints. */
function spectrumRows() {
  const view = viewNamed("spectrum");
  const matrix = view.matrices[spectrumMatrix];
  return { view, ks: matrix.k, rows: rowsOf(numbers(matrix.norms), matrix.k.length).map((row) => row.map((x) => (Number.isNaN(x) ? null : x))) };
}

function matrixChoice(view, card) {
  const names = Object.keys(viewNamed("spectrum").matrices);
  if (!names.includes(spectrumMatrix)) spectrumMatrix = names[0];
  card.select = choice(card, "matrix", names.map((name) => [name, MATRIX_NAMES[name] || name]), spectrumMatrix, (value) => {
    spectrumMatrix = value;
    for (const other of cards.filter((one) => ["spectrum", "spectrogram"].includes(one.view.name))) {
      other.select.value = value;
      redraw(other);
    }
  });
}

PAINTERS.spectrum = () => {
  const { view, ks, rows } = spectrumRows();
  const place = latest(view.steps, stepNow());
  const high = 1.12 * Math.max(...rows.flat());
  const chosen = ks.map((k) => k === state.followed);
  const trace = {
    type: "bar", x: ks, y: rows[place], hovertemplate: "k = %{x}<br>norm %{y}<extra></extra>",
    marker: { color: ks.map(frequencyColor), line: { color: ground().ink, width: chosen.map((yes) => (yes ? 2 : 0)) } },
  };
  const annotations = ks.flatMap((k, i) =>
    (run.keys.includes(k) || chosen[i]) && rows[place][i] !== null
      ? [{ x: k, y: rows[place][i], text: String(k), showarrow: false, yanchor: "bottom", font: { size: 11, color: ground().ink } }]
      : []);
  return {
    traces: [trace],
    layout: { xaxis: { title: "frequency k (0: the constant)" }, yaxis: { title: `norm of ${spectrumMatrix}`, range: [0, high] }, annotations, bargap: 0.15 },
    when: `${spectrumMatrix} at step ${view.steps[place]}`,
  };
};
PAINTERS.spectrum.follows = true;
PAINTERS.spectrum.prepare = (view, card) => {
  matrixChoice(view, card);
  card.click = (point) => { if (point.x > 0) follow(point.x); };
};

PAINTERS.spectrogram = () => {
  const { view, ks, rows } = spectrumRows();
  const kept = ks.filter((k) => k > 0);
  const trace = {
    type: "heatmap", x: view.steps, y: kept, z: kept.map((k) => rows.map((row) => row[ks.indexOf(k)])),
    colorscale: "Viridis", colorbar: colorBar(`norm of ${spectrumMatrix}`),
    hovertemplate: "step %{x}<br>k = %{y}<br>norm %{z}<extra></extra>",
  };
  const line = (place) => ({ type: "line", ...place, line: { color: "#ffffff", width: 1.5 } });
  const shapes = [line({ xref: "x", yref: "paper", x0: stepNow(), x1: stepNow(), y0: 0, y1: 1 })];
  if (state.followed !== null) {
    shapes.push({
      type: "rect", xref: "paper", yref: "y", x0: 0, x1: 1, y0: state.followed - 0.5, y1: state.followed + 0.5,
      line: { color: "#ffffff", width: 1, dash: "dot" },
    });
  }
  return {
    traces: view.steps.length > 1 ? [trace] : [{ ...trace, x: view.steps.map(String) }],
    layout: { xaxis: { title: "optimizer step", showgrid: false }, yaxis: { title: "frequency k", showgrid: false }, shapes },
    when: `${spectrumMatrix}, cursor at step ${stepNow()}`,
  };
};
PAINTERS.spectrogram.follows = true;
PAINTERS.spectrogram.prepare = (view, card) => {
  matrixChoice(view, card);
  card.click = (point) => {
    follow(point.y);
    goTo(point.x);
  };
};

PAINTERS.clusters = (view) => {
  const keys = Object.keys(view.sizes).map(Number);
  const named = [...new Set([...run.keys, ...(keys.includes(state.followed) ? [state.followed] : [])])].filter((k) => keys.includes(k));
  const others = view.steps.map((_, i) => keys.filter((k) => !named.includes(k)).reduce((sum, k) => sum + view.sizes[k][i], 0));
  const area = (name, y, color, strong) => ({
    type: "scatter", mode: "lines", stackgroup: "all", name, x: view.steps, y, fillcolor: color + (strong ? "ff" : "88"),
    line: { color, width: strong ? 2 : 1 }, hovertemplate: "%{y} neurons",
  });
  const traces = named.map((k) => area(`k = ${k}`, view.sizes[k], frequencyColor(k), k === state.followed || state.followed === null));
  traces.push(area("other k", others, ground().faint, false));
  const place = latest(view.steps, stepNow());
  const total = keys.reduce((sum, k) => sum + view.sizes[k][place], 0);
  const of = view.n_neurons === null ? "" : ` of ${view.n_neurons}`;
  const most = 1.05 * Math.max(1, ...view.steps.map((_, i) => keys.reduce((sum, k) => sum + view.sizes[k][i], 0)));
  const annotations = keys.length ? [] : [{
    text: "none at any checkpoint", xref: "paper", yref: "paper", x: 0.5, y: 0.5, showarrow: false, font: { color: ground().soft },
  }];
  return {
    traces,
    layout: { xaxis: stepAxis(), yaxis: { title: "neurons", range: [0, most] }, annotations, legend: { traceorder: "normal" }, shapes: behind({ shaded: false }), hovermode: "x unified" },
    when: `${total}${of} neurons at step ${view.steps[place]}, from ${view.threshold} of their energy on`,
  };
};
PAINTERS.clusters.follows = true;
PAINTERS.clusters.prepare = (_view, card) => { card.click = (point) => goTo(point.x); };

PAINTERS.neurons = (view) => {
  const place = latest(view.steps, stepNow());
  const ks = frameOf(view.k, place);
  const fractions = frameOf(view.fraction, place);
  const trace = {
    type: "scatter", mode: "markers", x: ks, y: fractions,
    marker: {
      size: ks.map((k) => (k === state.followed ? 7 : 5)), color: ks.map(frequencyColor),
      opacity: ks.map((k) => (state.followed === null || k === state.followed ? 0.9 : 0.45)),
      line: { width: ks.map((k) => (k === state.followed ? 0.7 : 0)), color: ground().ink },
    },
    customdata: ks.map((_, i) => i),
    hovertemplate: "neuron %{customdata}<br>k = %{x}<br>share %{y}<extra></extra>",
  };
  const mine = ks.filter((k) => k === state.followed).length;
  const of = state.followed === null ? "" : `: ${mine} of ${ks.length} neurons are best described by k = ${state.followed}`;
  const last = run.n === null ? Math.max(...ks) : Math.floor(run.n / 2);
  return {
    traces: [trace],
    layout: { xaxis: { title: "best frequency k", range: [0, last + 1] }, yaxis: { title: "share of its energy", range: [0, 1.04] } },
    when: `known at step ${view.steps[place]}${of}`,
  };
};
PAINTERS.neurons.follows = true;
PAINTERS.neurons.prepare = (_view, card) => { card.click = (point) => follow(point.x); };
