// What is chosen: the followed run, and the runs that are shown. Everything that depends on them is told.

const { runs, factors } = run;
const state = { followed: null, shown: runs.map(() => true) };
const listeners = [];
const stamp = () => "";

/** Change the state and tell the views what it was before. */
function change(changes) {
  const before = { ...state };
  Object.assign(state, changes);
  listeners.forEach((told) => told(before));
}

function follow(place) {
  if (place !== state.followed) change({ followed: place });
}

const isFiltered = () => state.shown.includes(false);
const shownPlaces = () => runs.map((_, i) => i).filter((i) => state.shown[i]);

/** The name of a run's value of a factor. */
const valueOf = (one, factor) => (one.levels[factor] === null ? null : factors[factor].values[one.levels[factor]]);

/** What tells a run from the others, in one line. */
function aboutOf(one) {
  const parts = factors.map((factor, f) => (factor.whole || valueOf(one, f) === null ? "" : `${factor.label} ${valueOf(one, f)}`));
  return parts.filter(Boolean).join(", ");
}

const SYMBOLS = ["circle", "square", "diamond"];
const MOST_COLORS = 8 * SYMBOLS.length;
const MOST_CURVES = 8;

/** The colour of a factor's value, the same in every figure; ink where there is no factor. */
function levelColor(factor, level) {
  if (factor === null || level === null) return ground().ink;
  const cycle = run.palette.cycle[theme];
  return cycle[level % cycle.length];
}

const levelSymbol = (level) => SYMBOLS[Math.floor((level || 0) / 8) % SYMBOLS.length];
const short = (text, most = 26) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/** A step with what happened there; a run that ended before is "> its last step". */
function eventText(step, one) {
  if (step !== null) return String(step);
  return one.known ? `> ${one.lastStep}` : "–";
}

/** A logarithmic axis from the smallest to the largest value, with at most so many ticks, each written out. */
function logAxis(values, most) {
  const [low, high] = [Math.min(...values), Math.max(...values)].map(Math.log10);
  const room = Math.max(0.04 * (high - low), 0.02);
  const range = [low - room, high + room];
  const ticks = [[1, 2, 5], [1, 3], [1]].map((digits) => ticksOf(range, digits));
  const tickvals = ticks.find((found) => found.length <= most && found.length > 1) || ticks[0];
  return { type: "log", range, tickvals, ticktext: tickvals.map(String) };
}

function ticksOf([low, high], digits) {
  const powers = Array.from({ length: Math.max(0, Math.floor(high) - Math.floor(low) + 1) }, (_, i) => Math.floor(low) + i);
  const all = powers.flatMap((power) => digits.map((digit) => Number((digit * 10 ** power).toPrecision(3))));
  return all.filter((tick) => Math.log10(tick) >= low && Math.log10(tick) <= high);
}

const stepsAxis = (most) => ({ title: "optimizer step", ...logAxis(run.ranges.step, most) });

// Cards whose figure the change can alter are drawn anew.
listeners.push((before) => cards.forEach((card) => {
  if (!card.painter.concerns || card.painter.concerns(card.view, before)) redraw(card);
}));
