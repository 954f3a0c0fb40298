// The share of runs that have not grokked yet, by the values of a factor, with a mark where a run ended first.

let survivalBy = null;

/** The value of a curve right after a step. */
function shareAt(curve, step) {
  return curve.shares[latest(curve.steps, step)];
}

function survivalTraces(curve, level, median) {
  const color = levelColor(survivalBy, level);
  const mine = state.followed === null ? null : survivalBy === null ? 0 : runs[state.followed].levels[survivalBy];
  const faint = mine !== null && mine !== level && survivalBy !== null;
  const [start] = run.ranges.step;
  const value = survivalBy === null ? "all runs" : short(factors[survivalBy].values[level]);
  const found = median.median === null ? "no median" : `median ${median.median}`;
  const name = plain(`${value}: ${median.observed} of ${median.n}, ${found}`);
  const shared = { type: "scatter", name, legendgroup: String(level), opacity: faint ? 0.35 : 1 };
  const lastShare = curve.shares[curve.shares.length - 1];
  return [
    {
      ...shared, mode: "lines", x: [...curve.steps.map((step) => Math.max(step, start)), Math.max(curve.end, start)], y: [...curve.shares, lastShare],
      line: { shape: "hv", color, width: mine === level && survivalBy !== null ? 3.5 : 2 }, hovertemplate: "step %{x}: %{y:.2f}",
    },
    {
      ...shared, mode: "markers", x: curve.censored.map((step) => Math.max(step, start)), y: curve.censored.map((step) => shareAt(curve, step)),
      marker: { symbol: "triangle-up-open", size: 9, color, line: { width: 1.6, color } }, showlegend: false, hovertemplate: "a run ended at step %{x}",
    },
  ];
}

PAINTERS.survival = () => {
  const found = survivalBy === null ? run.survival.all : run.survival.factors[survivalBy];
  const medians = found.medians.generalization;
  const levels = found.curves.map((_, level) => level).filter((level) => medians[level].n > 0);
  const traces = levels.flatMap((level) => survivalTraces(found.curves[level], survivalBy === null ? null : level, medians[level]));
  const one = state.followed === null ? null : runs[state.followed];
  const curve = one && one.known ? found.curves[survivalBy === null ? 0 : one.levels[survivalBy]] : null;
  if (curve) {
    const step = one.generalization === null ? one.lastStep : one.generalization;
    traces.push(ringTrace(Math.max(step, run.ranges.step[0]), shareAt(curve, step)));
  }
  const test = found.pValue === null ? "" : `; log-rank p = ${shown(found.pValue, 2)}`;
  return {
    traces,
    layout: { xaxis: stepsAxis(window.innerWidth < 600 ? 6 : 10), yaxis: { title: "share not grokked yet", range: [-0.03, 1.04] }, hovermode: "closest" },
    when: `all runs, also those that are filtered out${test}`,
  };
};

PAINTERS.survival.prepare = (_view, card) => {
  card.plot.classList.add("tall");
  const few = factors.map((factor, f) => ({ factor, f })).filter(({ factor }) => factor.values.length > 1 && factor.values.length <= MOST_CURVES);
  const first = few.find(({ factor, f }) => f === stepsColored && !factor.seed) || few.find(({ factor }) => !factor.seed);
  survivalBy = first ? first.f : null;
  const options = [["", "all runs"], ...few.map(({ factor, f }) => [String(f), `by ${short(factor.label)}`])];
  if (few.length) choice(card, "by which factor", options, survivalBy === null ? "" : String(survivalBy), (value) => { survivalBy = value === "" ? null : Number(value); });
};
