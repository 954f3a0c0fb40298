// Which colour means what in a run's page.

const phaseColor = (name) => run.palette.phases[theme][name] || ground().card;

/** The colour of a frequency: its own if it is key, else the followed one's, else faint. */
function frequencyColor(k) {
  const place = run.keys.indexOf(k);
  if (place >= 0) return run.palette.keys[theme][place % run.palette.keys[theme].length];
  return k === state.followed ? "#E0349A" : ground().faint;
}

/** A colour by its name in the data: ink, faint, followed, split:train, cycle:2. */
function colorOf(name) {
  const [kind, which] = name.split(":");
  if (kind === "split") return run.palette.splits[theme][which];
  if (kind === "cycle") return run.palette.cycle[theme][Number(which) % run.palette.cycle[theme].length];
  if (kind === "followed") return frequencyColor(state.followed);
  return ground()[kind];
}
