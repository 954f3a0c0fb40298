// Steps to grok, to memorise, or between the two, over the values of a factor: a point a run, open where it is censored.

let stepsQuantity = Object.keys(run.quantities)[0];
let stepsOver = null;
let stepsColored = null;

/** A run's steps until the chosen event, or until it ended first; null where neither is known. */
function stepsOf(one, quantity) {
  if (!one.known || (quantity === "delay" && one.memorization === null)) return null;
  const found = one[quantity];
  const since = quantity === "delay" ? one.memorization : 0;
  return found === null ? { steps: one.lastStep - since, censored: true } : { steps: found, censored: false };
}

/** Where each run stands on the axis: its value's place, spread so that runs of one value stand side by side. */
function placesOver(over, colored) {
  const places = runs.map(() => null);
  const columns = new Map();
  runs.forEach((one, i) => {
    const level = over === null ? 0 : one.levels[over];
    if (level !== null) columns.set(level, [...(columns.get(level) || []), i]);
  });
  const rank = (i) => (colored === null || runs[i].levels[colored] === null ? 0 : runs[i].levels[colored]);
  for (const [level, members] of columns) {
    const spread = Math.min(0.7, 0.09 * (members.length - 1));
    members.sort((i, j) => rank(i) - rank(j) || i - j);
    members.forEach((i, r) => { places[i] = level + (members.length > 1 ? spread * (r / (members.length - 1) - 0.5) : 0); });
  }
  return places;
}

function pointsTrace(members, places, color, symbol, more) {
  const visible = members.filter(({ i }) => state.shown[i]);
  return {
    type: "scatter", mode: "markers", x: visible.map(({ i }) => places[i]), y: visible.map(({ at }) => at.steps),
    customdata: visible.map(({ i }) => i),
    text: visible.map(({ i, at }) => plain(`${runs[i].name}: ${at.censored ? "> " : ""}${at.steps}`)),
    hovertemplate: "%{text}<extra></extra>",
    marker: { size: 9, color, symbol, opacity: state.followed === null ? 0.9 : 0.4, line: { width: symbol.endsWith("open") ? 1.6 : 0, color } },
    ...more,
  };
}

/** Two traces a colour: runs that got there, and those that ended first. */
function pointTraces(known, places) {
  const levels = stepsColored === null ? [null] : factors[stepsColored].values.map((_, level) => level);
  return levels.flatMap((level) => {
    const mine = known.filter(({ i }) => level === null || runs[i].levels[stepsColored] === level);
    const name = level === null ? "a run" : plain(short(factors[stepsColored].values[level]));
    const color = levelColor(stepsColored, level);
    const group = { name, legendgroup: String(level) };
    const [seen, ended] = [mine.filter(({ at }) => !at.censored), mine.filter(({ at }) => at.censored)];
    const own = mine.some(({ i }) => state.shown[i]) && level !== null;
    return [
      pointsTrace(seen, places, color, levelSymbol(level), { ...group, showlegend: own && seen.length > 0 }),
      pointsTrace(ended, places, color, "triangle-up-open", { ...group, showlegend: own && !seen.length }),
    ];
  });
}

/** The Kaplan-Meier median of each value, where it has one and more than one run. */
function medianTrace() {
  const found = stepsOver === null ? run.survival.all : run.survival.factors[stepsOver];
  const medians = found.medians[stepsQuantity].map((row, level) => ({ ...row, level })).filter((row) => row.n > 1 && row.median !== null);
  const about = (row) => {
    const ends = [row.low, row.high].map((end) => (end === null ? "open" : end));
    return `median of ${row.n} runs, ${row.observed} of which got there: ${row.median} (${ends[0]} to ${ends[1]})`;
  };
  return {
    type: "scatter", mode: "lines", name: "median", line: { color: ground().ink, width: 2 }, hovertemplate: "%{text}<extra></extra>",
    x: medians.flatMap(({ level }) => [level - 0.4, level, level + 0.4, null]), y: medians.flatMap(({ median }) => [median, median, median, null]),
    text: medians.flatMap((row) => [about(row), about(row), about(row), ""]), showlegend: medians.length > 0,
  };
}

function overAxis() {
  if (stepsOver === null) return { tickvals: [0], ticktext: ["all runs"], range: [-0.6, 0.6] };
  const { values, label } = factors[stepsOver];
  const room = window.innerWidth < 600 ? 10 : 30;
  const every = Math.ceil(values.length / room);
  const ticks = values.map((_, i) => i).filter((i) => i % every === 0);
  return { title: plain(label), tickvals: ticks, ticktext: ticks.map((i) => plain(short(values[i], 22))), range: [-0.6, values.length - 0.4] };
}

PAINTERS.steps = () => {
  const places = placesOver(stepsOver, stepsColored);
  const known = runs.map((one, i) => ({ i, at: stepsOf(one, stepsQuantity) })).filter(({ i, at }) => at !== null && places[i] !== null);
  const traces = pointTraces(known, places);
  if (!isFiltered()) traces.push(medianTrace());
  const chosen = known.find(({ i }) => i === state.followed);
  if (chosen && state.shown[chosen.i]) traces.push(ringTrace(places[chosen.i], chosen.at.steps));
  const visible = known.filter(({ i }) => state.shown[i]);
  const ended = visible.filter(({ at }) => at.censored).length;
  const log = known.every(({ at }) => at.steps > 0);
  const open = ended ? `; ${ended} open triangle${ended > 1 ? "s" : ""}: the run ended there first` : "";
  return {
    traces,
    layout: {
      xaxis: overAxis(), yaxis: { title: run.quantities[stepsQuantity], ...(log ? logAxis(known.map(({ at }) => at.steps), 12) : {}) },
      hovermode: "closest",
    },
    when: `${visible.length} runs${open}`,
  };
};

/** A ring around the followed run. */
function ringTrace(x, y) {
  return {
    type: "scatter", mode: "markers", x: [x], y: [y], showlegend: false, hoverinfo: "skip",
    marker: { size: 17, symbol: "circle-open", color: ground().ink, line: { width: 2.5, color: ground().ink } },
  };
}

PAINTERS.steps.prepare = (_view, card) => {
  card.plot.classList.add("tall");
  const single = factors.map((factor, f) => ({ factor, f }));
  const first = single.find(({ factor }) => factor.number && !factor.seed) || single.find(({ factor }) => !factor.seed) || single[0];
  stepsOver = first ? first.f : null;
  const colorable = single.filter(({ factor }) => factor.values.length <= MOST_COLORS);
  const second = colorable.find(({ factor, f }) => f !== stepsOver && !factor.seed && !factor.whole);
  stepsColored = second ? second.f : null;
  const option = (before) => ({ factor, f }) => [String(f), `${before} ${short(factor.label)}`];
  const place = (value) => (value === "" ? null : Number(value));
  if (factors.length) {
    choice(card, "colour by", [["", "one colour"], ...colorable.map(option("colour:"))], stepsColored === null ? "" : String(stepsColored), (value) => { stepsColored = place(value); });
    choice(card, "over which factor", [["", "all runs"], ...single.map(option("over"))], stepsOver === null ? "" : String(stepsOver), (value) => { stepsOver = place(value); });
  }
  choice(card, "which steps", Object.entries(run.quantities), stepsQuantity, (value) => { stepsQuantity = value; });
  card.click = (point) => { if (point.customdata !== undefined) follow(point.customdata); };
};
