// Puts the page together.

const LANDMARK_NAMES = {
  step: "step", test_accuracy: "test accuracy", full_loss: "loss, all pairs (nats)",
  restricted_loss: "restricted loss, all pairs (nats)", excluded_loss: "excluded loss, train pairs (nats)",
  gini_W_L: "Gini of W_L", weight_norm: "sum of squared weights",
  noise_loss_increase: "flatness: 10 % noise adds (nats)", keskar_phi: "flatness: Keskar's phi",
};

function drawPhaseNames() {
  const list = document.getElementById("phase-names");
  if (!list) return;
  list.replaceChildren(...run.phases.map((phase) => {
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = phaseColor(phase.name);
    return element("li", { children: [swatch, element("span", { text: `${phase.name}, steps ${phase.start} to ${phase.end}` })] });
  }));
}

function makeViews() {
  const main = document.getElementById("views");
  for (const section of [...new Set(run.views.map((view) => view.section))]) {
    main.append(element("h2", { text: section }));
    if (section === run.views[0].section) main.append(element("ul", { className: "phases", id: "phase-names" }));
    const cardsOf = run.views.filter((view) => view.section === section).map(makeCard);
    main.append(element("div", { className: "grid", children: cardsOf }));
  }
  drawPhaseNames();
}

const cell = (tag) => (text) => element(tag, { text });

function table(head, rows, className) {
  const top = head.length ? [element("tr", { children: head.map(cell("th")) })] : [];
  const body = rows.map((row) => element("tr", { children: row.map(cell("td")) }));
  return element("div", { className: "wide", children: [element("table", { className, children: [...top, ...body] })] });
}

function measureOf(measure) {
  const parts = [element("summary", { text: measure.absent ? `${measure.name} (${measure.absent})` : measure.name })];
  parts.push(element("p", { text: `${measure.summary} ${measure.reference}` }));
  for (const one of measure.tables) {
    const list = element("dl");
    for (const column of one.columns) {
      const unit = column.unit ? ` (${column.unit})` : "";
      list.append(element("dt", { text: column.name + unit }), element("dd", { text: column.meaning }));
    }
    parts.push(element("p", { text: `Table ${one.name}` }), list);
  }
  return element("details", { className: "measure", children: parts });
}

function makeEnd() {
  const end = document.getElementById("end");
  const add = (title, ...what) => end.append(element("h2", { text: title }), ...what);
  if (run.table.rows.length) {
    const rows = run.table.rows.filter((row) => row.slice(1).some((value) => value !== null));
    add("Landmarks", table(["", ...run.table.head], rows.map(([name, ...values]) => [LANDMARK_NAMES[name] || name, ...values.map((value) => shown(value))])));
  }
  const absent = run.missing.map((one) => element("li", { text: `${one.title}: ${one.reason}` }));
  if (absent.length) add("Not shown for this run", element("ul", { id: "missing", children: absent }));
  add("How the figures are made", ...run.notes.map((note) => element("p", { className: "note", text: note })));
  end.append(element("p", { className: "note", text: "Each view shows the latest data at or before the chosen checkpoint and names its step. Double click in a figure resets its zoom." }));
  add("What was measured", ...run.measures.map(measureOf));
  add("Where it came from", table([], run.facts, "facts"), element("details", { children: [element("summary", { text: "config" }), element("pre", { text: run.config })] }));
}

document.documentElement.dataset.theme = theme;
document.getElementById("operation").textContent = run.operation;
document.getElementById("theme").textContent = theme === "dark" ? "light" : "dark";
makeViews();
makeEnd();
startPlayer();
themeListeners.push(redrawAll, drawPhaseNames, showFollowed);
startTheme();
document.documentElement.dataset.ready = "true";
