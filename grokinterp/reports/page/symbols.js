// The symbols as points: PCA and circles.

/** The place of each symbol that its colour shows: along the followed circle, or as it comes. */
function hues(count, k) {
  return Array.from({ length: count }, (_, i) => (k === null ? i : (i * k) % count));
}

function residueMarker(count, k, size) {
  return { size, color: hues(count, k), cmin: 0, cmax: count, colorscale: run.palette.residues, line: { width: 0 } };
}

const dotSize = (count) => (count > 80 ? 7 : 9);

PAINTERS.circle = (view) => {
  const names = Object.keys(view.circles).map(Number);
  const wanted = names.includes(state.followed) ? state.followed : names.find((k) => run.keys.includes(k)) || names[0];
  const packed = view.circles[wanted];
  const place = latest(view.steps, stepNow());
  const [x, y] = rowsOf(levelsOf(packed, place), packed.shape[2]);
  const n = x.length;
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => ((i * wanted) % n) - ((j * wanted) % n) || i - j);
  const path = [...order, order[0]];
  const reach = 1.08 * Math.max(Math.abs(packed.low), Math.abs(packed.high)) || 1;
  const square = { range: [-reach, reach], zeroline: true };
  const ring = { type: "scatter", mode: "lines", x: path.map((i) => x[i]), y: path.map((i) => y[i]), line: { color: ground().faint, width: 1 }, hoverinfo: "skip" };
  const dots = {
    type: "scatter", mode: "markers", x, y, marker: residueMarker(n, wanted, dotSize(n)), customdata: view.symbol,
    hovertemplate: `symbol %{customdata}<br>cosine %{x:.3f}<br>sine %{y:.3f}<extra>k = ${wanted}</extra>`,
  };
  const other = state.followed !== null && wanted !== state.followed ? ` (k = ${state.followed} has none here)` : "";
  return {
    traces: [ring, dots],
    layout: {
      xaxis: { ...square, title: "cosine side" }, yaxis: { ...square, title: "sine side", scaleanchor: "x" }, showlegend: false,
    },
    when: `k = ${wanted} at step ${view.steps[place]}${other}`,
  };
};
PAINTERS.circle.follows = true;
PAINTERS.circle.prepare = (_view, card) => card.plot.classList.add("square");

let pcaMatrix = "W_E";
let pcaPair = 0;
PAINTERS.pca = (view) => {
  const matrix = view.matrices[pcaMatrix];
  const place = latest(view.steps, stepNow());
  const width = matrix.points.shape[2];
  const rows = rowsOf(frameOf(matrix.points, place), width);
  const [first, second] = [2 * pcaPair, 2 * pcaPair + 1];
  const all = numbers(matrix.points).filter((value, i) => [first, second].includes(i % width) && !Number.isNaN(value));
  const reach = 1.08 * all.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const shares = view.shares[pcaMatrix] || [];
  const name = (i) => `PC ${i + 1}${shares[i] === undefined ? "" : ` (${(100 * shares[i]).toFixed(1)} % at the end)`}`;
  const k = run.n === matrix.symbol.length ? state.followed : null;
  const trace = {
    type: "scatter", mode: "markers", x: rows.map((row) => row[first]), y: rows.map((row) => row[second]),
    marker: residueMarker(rows.length, k, dotSize(rows.length)), customdata: matrix.symbol,
    hovertemplate: "symbol %{customdata}<br>%{x:.4f}, %{y:.4f}<extra></extra>",
  };
  const square = { range: [-reach, reach], zeroline: true };
  return {
    traces: [trace],
    layout: { xaxis: { ...square, title: name(first) }, yaxis: { ...square, title: name(second), scaleanchor: "x" }, showlegend: false },
    when: `${pcaMatrix} at step ${view.steps[place]}, aligned to the last checkpoint${k === null ? "" : `; colour: place × ${k} mod ${run.n}`}`,
  };
};
PAINTERS.pca.follows = true;
PAINTERS.pca.prepare = (view, card) => {
  card.plot.classList.add("square");
  const names = Object.keys(view.matrices);
  pcaMatrix = names.includes("W_E") ? "W_E" : names[0];
  choice(card, "components", [["0", "PC 1, 2"], ["1", "PC 3, 4"]], "0", (value) => { pcaPair = Number(value); });
  choice(card, "matrix", names.map((name) => [name, name]), pcaMatrix, (value) => { pcaMatrix = value; });
};
