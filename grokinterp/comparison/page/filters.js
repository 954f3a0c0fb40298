// Which runs are shown: by words, by the value of each factor, by what became of them. All figures but medians follow.

const MOST_OPTIONS = 40;
const filterControls = [];

const fateOf = (one) => (!one.known ? "not known" : one.generalization !== null ? "grokked" : "censored");

function labelled(text, control) {
  return element("label", { children: [element("span", { text }), control] });
}

function filterChoice(label, values, isValue) {
  const select = element("select");
  select.append(element("option", { text: "all", value: "" }));
  values.forEach((value, i) => select.append(element("option", { text: short(value, 40), value: String(i) })));
  select.addEventListener("change", applyFilters);
  filterControls.push({ control: select, passes: (one) => select.value === "" || isValue(one, Number(select.value)) });
  return labelled(label, select);
}

function wordsFilter() {
  const input = element("input", { type: "search", placeholder: "words, such as x+y 0.3", autocomplete: "off" });
  input.addEventListener("input", applyFilters);
  const passes = (one) => {
    const text = `${one.name} ${one.state} ${fateOf(one)} ${aboutOf(one)}`.toLowerCase();
    return input.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
  };
  filterControls.push({ control: input, passes });
  return labelled("search", input);
}

function applyFilters() {
  change({ shown: runs.map((one) => filterControls.every((filter) => filter.passes(one))) });
}

function resetFilters() {
  filterControls.forEach(({ control }) => { control.value = ""; });
  applyFilters();
}

function makeFilters() {
  const form = document.getElementById("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.append(wordsFilter());
  factors.forEach((factor, f) => {
    const few = factor.values.length > 1 && factor.values.length <= MOST_OPTIONS;
    if (few && !factor.whole) form.append(filterChoice(factor.label, factor.values, (one, level) => one.levels[f] === level));
  });
  for (const [label, what] of [["outcome", fateOf], ["state", (one) => one.state]]) {
    const values = [...new Set(runs.map(what))].sort();
    if (values.length > 1) form.append(filterChoice(label, values, (one, place) => what(one) === values[place]));
  }
  const all = element("button", { text: "show all", type: "button" });
  all.addEventListener("click", resetFilters);
  const count = element("output", { "aria-live": "polite" });
  const tell = () => {
    count.textContent = `${shownPlaces().length} of ${runs.length} runs shown`;
    all.disabled = !isFiltered();
  };
  listeners.push(tell);
  tell();
  form.append(all, count);
}
