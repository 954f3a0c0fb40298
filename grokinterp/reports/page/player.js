// The slider, the keys and the followed frequency.

const slider = document.getElementById("slider");
const playButton = document.getElementById("play");
const nowOutput = document.getElementById("now");
const FRAME_MS = 220;
let timer = null;

/** The evaluation at or before the chosen checkpoint, in words. */
function readout() {
  const parts = [];
  let names = [];
  for (const view of ["loss", "accuracy"].map(viewNamed).filter(Boolean)) {
    const curves = view.curves.length > 2 ? view.curves.filter((one) => one.label !== "all") : view.curves;
    const values = curves.map((curve) => shown(curve.values[latest(curve.steps, stepNow())], 3));
    parts.push(`${view.name} ${values.join(" / ")}`);
    names = curves.map((curve) => curve.label);
  }
  if (names.length) parts.push(names.join(" / "));
  nowOutput.replaceChildren(
    element("b", { text: `step ${stepNow()}` }),
    element("span", { className: "faint", text: `  ${state.index + 1} of ${run.steps.length}` }),
    element("br"),
    element("span", { className: "values", text: parts.join(" · ") }),
  );
  slider.value = String(state.index);
  slider.setAttribute("aria-valuetext", `step ${stepNow()}, ${parts.join(", ")}`);
}

function setPlaying(playing) {
  state.playing = playing;
  playButton.textContent = playing ? "❚❚" : "▶";
  playButton.setAttribute("aria-label", playing ? "pause" : "play");
  clearTimeout(timer);
  if (!playing) return;
  if (state.index === run.steps.length - 1) change({ index: 0 });
  const next = () => {
    if (state.index >= run.steps.length - 1) return setPlaying(false);
    change({ index: state.index + 1 });
    timer = setTimeout(next, FRAME_MS);
  };
  timer = setTimeout(next, FRAME_MS);
}

const KEYS = {
  ArrowLeft: () => change({ index: state.index - 1 }),
  ArrowRight: () => change({ index: state.index + 1 }),
  Home: () => change({ index: 0 }),
  End: () => change({ index: run.steps.length - 1 }),
};

function onKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey || ["SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
  const space = event.key === " " && !["BUTTON", "SUMMARY", "A"].includes(event.target.tagName);
  if (!KEYS[event.key] && !space) return;
  event.preventDefault();
  if (space) return setPlaying(!state.playing);
  setPlaying(false);
  KEYS[event.key]();
}

function makeMarks() {
  const marks = document.getElementById("marks");
  const places = new Map();
  for (const [name, step] of Object.entries(run.landmarks)) {
    places.set(step, [...(places.get(step) || []), name]);
  }
  for (const [step, names] of [...places].sort((x, y) => x[0] - y[0])) {
    const button = element("button", { text: names.join(", "), type: "button", title: `step ${step}` });
    button.style.left = `${(100 * nearest(run.steps, step)) / Math.max(1, run.steps.length - 1)}%`;
    button.addEventListener("click", () => goTo(step));
    marks.append(button);
  }
  window.addEventListener("resize", clearMarks);
  clearMarks();
}

/** Leave out the names of landmarks that would stand on the one before; their ticks stay. */
function clearMarks() {
  const buttons = [...document.querySelectorAll("#marks button")];
  buttons.forEach((button) => button.classList.remove("crowded"));
  let end = -Infinity;
  for (const button of [...buttons.slice(-1), ...buttons.slice(0, -1)]) {
    const box = button.getBoundingClientRect();
    const last = buttons[buttons.length - 1].getBoundingClientRect();
    const crowded = button !== buttons[buttons.length - 1] && (box.left < end + 2 || box.right > last.left - 2);
    button.classList.toggle("crowded", crowded);
    if (!crowded && button !== buttons[buttons.length - 1]) end = box.right;
  }
}

function makeFollow() {
  const row = document.getElementById("follow");
  if (!viewNamed("spectrum") && !viewNamed("circle")) return row.remove();
  row.append(element("span", { className: "faint", text: "follow k =" }));
  for (const k of run.keys) {
    const button = element("button", { text: String(k), type: "button", "data-k": String(k) });
    button.addEventListener("click", () => follow(state.followed === k ? null : k));
    row.append(button);
  }
  const select = element("select", { "aria-label": "another frequency", id: "other-k" });
  select.append(element("option", { text: "other …", value: "" }));
  for (let k = 1; k <= Math.floor(run.n / 2); k += 1) {
    if (!run.keys.includes(k)) select.append(element("option", { text: String(k), value: String(k) }));
  }
  select.addEventListener("change", () => follow(select.value === "" ? null : Number(select.value)));
  row.append(select, element("span", { className: "faint hint", text: "← → Home End move, space plays" }));
  listeners.push(showFollowed);
  showFollowed();
  return row;
}

function showFollowed() {
  for (const button of document.querySelectorAll("#follow button")) {
    const color = frequencyColor(Number(button.dataset.k));
    button.style.borderColor = color;
    button.style.setProperty("--chip", color);
    button.setAttribute("aria-pressed", String(Number(button.dataset.k) === state.followed));
  }
  const other = state.followed !== null && !run.keys.includes(state.followed);
  const select = document.getElementById("other-k");
  if (select) select.value = other ? String(state.followed) : "";
}

function startPlayer() {
  slider.max = String(run.steps.length - 1);
  slider.addEventListener("input", () => {
    setPlaying(false);
    change({ index: Number(slider.value) });
  });
  playButton.addEventListener("click", () => setPlaying(!state.playing));
  document.addEventListener("keydown", onKey);
  listeners.push(readout);
  makeMarks();
  makeFollow();
  readout();
}
