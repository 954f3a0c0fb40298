// Maps over pairs.

const AXIS_NAMES = { a: "a (left operand)", b: "b (right operand)", i: "i (a in natural order)", j: "j (b in natural order)" };

/** Share of a square map's variance in the terms of frequency k: {1, cos, sin}(i) x {1, cos, sin}(j) without the constant. */
function shareOf(rows, k) {
  const n = rows.length;
  if (!k || n !== run.n || rows[0].length !== n || rows.some((row) => row.includes(null))) return null;
  const waves = [Array(n).fill(Math.sqrt(1 / n))];
  const scale = Math.sqrt((2 * k === n ? 1 : 2) / n);
  waves.push(waves[0].map((_, i) => scale * Math.cos((2 * Math.PI * k * i) / n)));
  if (2 * k !== n) waves.push(waves[0].map((_, i) => scale * Math.sin((2 * Math.PI * k * i) / n)));
  let mine = 0;
  let total = 0;
  const along = waves.map((wave) => rows.map((row) => row.reduce((sum, value, j) => sum + value * wave[j], 0)));
  waves.forEach((wave, u) => along.forEach((column, v) => {
    if (u || v) mine += column.reduce((sum, value, i) => sum + value * wave[i], 0) ** 2;
  }));
  const mean = rows.flat().reduce((sum, value) => sum + value, 0) / (n * n);
  rows.flat().forEach((value) => { total += (value - mean) ** 2; });
  return total > 0 ? mine / total : null;
}

const shareText = (share) => (share === null ? "" : `; k = ${state.followed} holds ${(100 * share).toFixed(0)} % of its variance`);

function mapTrace(view, name, place, more) {
  const packed = view.maps[name];
  const rows = rowsOf(levelsOf(packed, place), packed.shape[2]);
  const half = (packed.high - packed.low) / 508;
  const [first, second] = view.axes;
  return {
    rows,
    trace: {
      type: "heatmap", z: rows, colorscale: "Viridis", zmin: packed.low, zmax: packed.high || packed.low + 1,
      hovertemplate: `${first} = %{y}, ${second} = %{x}<br>%{z:.4g} ± ${shown(half)}<extra>${plain(name.startsWith("head") ? name : "")}</extra>`, ...more,
    },
  };
}

function pairAxes(view) {
  const square = { showgrid: false, constrain: "domain" };
  return {
    xaxis: { ...square, title: AXIS_NAMES[view.axes[1]] },
    yaxis: { ...square, title: AXIS_NAMES[view.axes[0]], autorange: "reversed", scaleanchor: "x" },
  };
}

function logitFigure(view) {
  const place = latest(view.steps, stepNow());
  const { rows, trace } = mapTrace(view, Object.keys(view.maps)[0], place, { colorbar: colorBar(view.unit) });
  return { traces: [trace], layout: pairAxes(view), when: `step ${view.steps[place]}${shareText(shareOf(rows, state.followed))}` };
}

for (const name of ["correct", "answer"]) {
  PAINTERS[name] = logitFigure.bind(null);
  PAINTERS[name].follows = true;
  PAINTERS[name].prepare = (_view, card) => card.plot.classList.add("square");
}

PAINTERS.attention = (view) => {
  const place = latest(view.steps, stepNow());
  const heads = Object.keys(view.maps);
  const columns = Math.ceil(Math.sqrt(heads.length));
  const lows = heads.map((head) => view.maps[head].low);
  const highs = heads.map((head) => view.maps[head].high);
  const layout = {
    annotations: [], showlegend: false, margin: { l: 44, r: 12, t: 22, b: 44 },
    coloraxis: { colorscale: "Viridis", cmin: Math.min(...lows), cmax: Math.max(...highs), colorbar: colorBar("attention") },
  };
  const deep = Math.ceil(heads.length / columns);
  const best = [];
  const traces = heads.map((head, h) => {
    const [row, column] = [Math.floor(h / columns), h % columns];
    const suffix = h ? String(h + 1) : "";
    const { rows, trace } = mapTrace(view, head, place, { coloraxis: "coloraxis", xaxis: `x${suffix}`, yaxis: `y${suffix}` });
    const share = shareOf(rows, state.followed);
    if (share !== null) best.push(`${head}: ${(100 * share).toFixed(0)} %`);
    const [left, right] = [(column + 0.04) / columns, (column + 0.96) / columns];
    const [low, high] = [1 - (row + 0.92) / deep, 1 - (row + 0.07) / deep];
    const edge = { showgrid: false, constrain: "domain", tickfont: { size: 9 } };
    const [bottom, outer] = [h + columns >= heads.length, column === 0];
    const text = share === null ? head : `${head}, k = ${state.followed}: ${(100 * share).toFixed(0)} %`;
    layout[`xaxis${suffix}`] = { ...edge, domain: [left, right], anchor: `y${suffix}`, showticklabels: bottom, title: bottom ? view.axes[1] : "" };
    layout[`yaxis${suffix}`] = { ...edge, domain: [low, high], anchor: `x${suffix}`, autorange: "reversed", scaleanchor: `x${suffix}`, showticklabels: outer, title: outer ? view.axes[0] : "" };
    layout.annotations.push({ text, xref: "paper", yref: "paper", x: (left + right) / 2, y: high, xanchor: "center", yanchor: "bottom", showarrow: false, font: { size: 11 } });
    return trace;
  });
  const of = best.length ? `; share of the variance in k = ${state.followed} over each map` : "";
  return { traces, layout, when: `step ${view.steps[place]}${of}` };
};
PAINTERS.attention.follows = true;
PAINTERS.attention.prepare = (_view, card) => card.plot.classList.add("square");

const CELL_NAMES = ["train, right", "train, wrong", "test, right", "test, wrong", "unknown, right", "unknown, wrong"];

PAINTERS.table = (view) => {
  const place = latest(view.steps, stepNow());
  const width = view.right.shape[1];
  const right = numbers(view.right);
  const split = numbers(view.split);
  const predicted = frameOf(view.predicted, place);
  const codes = right.map((answer, i) => (answer === view.empty ? null : 2 * split[i] + (predicted[i] === answer ? 0 : 1)));
  const colors = run.palette.cells[theme];
  const scale = colors.flatMap((color, i) => [[i / 6, color], [(i + 1) / 6, color]]);
  const text = codes.map((code, i) => (code === null ? "undefined" : `${CELL_NAMES[code]}<br>answer ${right[i]}, network ${predicted[i]}`));
  const [first, second] = view.axes;
  const map = {
    type: "heatmap", z: rowsOf(codes, width), zmin: -0.5, zmax: 5.5, colorscale: scale, showscale: false, text: rowsOf(text, width),
    hovertemplate: `${first} = %{y}, ${second} = %{x}<br>%{text}<extra></extra>`,
  };
  const found = [0, 1, 2, 3, 4, 5].filter((code) => split.includes(Math.floor(code / 2)));
  const names = found.map((code) => ({
    type: "scatter", mode: "markers", x: [null], y: [null], name: CELL_NAMES[code], marker: { symbol: "square", size: 10, color: colors[code] },
  }));
  const count = (wanted) => codes.filter((code) => wanted.includes(code)).length;
  const share = (all) => (count(all) ? `${((100 * count(all.filter((code) => code % 2 === 0))) / count(all)).toFixed(1)} %` : "–");
  const parts = [["train", [0, 1]], ["test", [2, 3]], ["all", [0, 1, 2, 3, 4, 5]]].filter(([, all]) => count(all));
  const said = parts.map(([name, all]) => `${name} ${share(all)}`).join(", ");
  return { traces: [map, ...names], layout: pairAxes(view), when: `step ${view.steps[place]}: right on ${said}` };
};
PAINTERS.table.prepare = (_view, card) => card.plot.classList.add("square");
