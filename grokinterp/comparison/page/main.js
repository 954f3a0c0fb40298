// Puts the page together.

const factsTable = (rows) => element("div", {
  className: "wide",
  children: [element("table", { className: "facts", children: rows.map((row) => element("tr", { children: row.map((text) => element("td", { text })) })) })],
});

function makeEnd() {
  const end = document.getElementById("end");
  const add = (title, ...what) => end.append(element("h2", { text: title }), ...what);
  if (run.troubles.length) {
    const items = run.troubles.map(([name, state, why]) => element("li", { text: `${name}: ${state}${why ? `, ${why}` : ""}` }));
    add("Runs that did not end as planned", element("ul", { id: "troubles", children: items }));
  }
  add("How the figures are made", ...run.notes.map((note) => element("p", { className: "note", text: note })));
  const folded = (summary, text) => element("details", { children: [element("summary", { text: summary }), element("pre", { text })] });
  add("Where it came from", factsTable(run.facts), folded("config that all runs share", run.shared));
  if (run.recipe !== null) end.append(folded("recipe of the sweep", run.recipe));
}

document.documentElement.dataset.theme = theme;
document.getElementById("theme").textContent = theme === "dark" ? "light" : "dark";
makeFilters();
document.getElementById("results").append(
  makeCard({ name: "steps", title: "How many steps it took" }),
  makeCard({ name: "survival", title: "Share of runs that have not grokked yet" }),
);
makeTable();
makePanels();
drawCurveNames();
makeFollowed();
makeEnd();
themeListeners.push(redrawAll, drawCurveNames);
startTheme();
document.documentElement.dataset.ready = "true";
