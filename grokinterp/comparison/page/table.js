// The table: a row a run, sorted by any column; the row that has the focus, or was clicked, is followed everywhere.

const sortedBy = { column: 0, down: false };
let tableRows = [];

const eventOrder = (step, one) => (step !== null ? step : one.known ? 1e12 + one.lastStep : null);

function columnsOf() {
  const number = (label, key, title) => ({ label, title, value: (one) => one[key], text: (one) => shown(one[key]) });
  const event = (label, key) => ({
    label, title: "step; > where the run ended first", value: (one) => eventOrder(one[key], one), text: (one) => eventText(one[key], one),
    open: (one) => one[key] === null,
  });
  const text = (label, of) => ({ label, value: of, text: (one) => of(one) ?? "–", isText: true });
  const keys = (one) => (one.keys.length > 6 ? `${one.keys.slice(0, 6).join(" ")} … (${one.keys.length})` : one.keys.join(" "));
  const all = [
    text("run", (one) => one.name),
    ...factors.map((factor, f) => ({ factor, f })).filter(({ factor }) => !factor.whole).map(({ factor, f }) => ({
      label: factor.label, title: factor.label, value: (one) => one.levels[f], text: (one) => valueOf(one, f) ?? "–", isText: !factor.number,
    })),
    text("state", (one) => one.state),
    event("memorised", "memorization"), event("grokked", "generalization"),
    { label: "delay", title: "from memorised to grokked, in steps", value: (one) => one.delay, text: (one) => shown(one.delay) },
    number("test accuracy", "testAccuracy", "at the last step"), number("test loss", "testLoss", "nats, at the last step"),
    number("train loss", "trainLoss", "nats, at the last step"), number("weight norm", "weightNorm", "sum of squared weights, at the last step"),
    {
      label: "key frequencies", title: "k of the last checkpoint; sorted by how many", value: (one) => (one.keys ? one.keys.length : null),
      text: (one) => (one.keys ? keys(one) || "none" : "–"), isText: true, optional: true,
    },
  ];
  const optional = ["test accuracy", "test loss", "train loss", "weight norm", "key frequencies"];
  return all.filter((column) => !optional.includes(column.label) || runs.some((one) => column.value(one) !== null));
}

/** Runs without a value come last, whichever way the others are sorted. */
function compareBy(column, down) {
  return (i, j) => {
    const [a, b] = [column.value(runs[i]), column.value(runs[j])];
    if (a === null || b === null) return (a === null) - (b === null) || i - j;
    const order = a < b ? -1 : a > b ? 1 : 0;
    return (down ? -order : order) || i - j;
  };
}

/** A link to the run's own page, or the command that makes it. */
function pageCell(one) {
  const cell = element("td", { className: "text" });
  if (one.page !== null) cell.append(element("a", { text: "open its page", href: one.page, "aria-label": `page of ${one.name}` }));
  else if (one.command !== null) cell.append(element("code", { text: one.command }));
  return cell;
}

function rowOf(i, columns) {
  const one = runs[i];
  const cells = columns.map((column) => {
    const cell = element("td", { text: column.text(one), className: [column.isText ? "text" : "", column.open && column.open(one) ? "open" : ""].join(" ").trim() });
    cell.title = column.label === "state" ? one.why : column.label === "run" ? one.name : "";
    return cell;
  });
  const row = element("tr", { tabindex: "-1", "data-run": String(i), children: [...cells, pageCell(one)] });
  row.addEventListener("click", () => follow(i));
  row.addEventListener("focus", () => follow(i));
  row.addEventListener("keydown", (event) => moveFocus(event, row));
  return row;
}

/** Arrow keys, Home and End go from row to row. */
function moveFocus(event, row) {
  const open = tableRows.filter((one) => !one.hidden);
  const place = open.indexOf(row);
  const wanted = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: open.length - 1 }[event.key];
  if (wanted === undefined || event.target !== row) return;
  event.preventDefault();
  open[Math.max(0, Math.min(open.length - 1, wanted))].focus();
}

/** One row at a time takes part in the order of the Tab key: the followed one, else the first. */
function showRows(body, none) {
  tableRows.forEach((row) => {
    const i = Number(row.dataset.run);
    row.hidden = !state.shown[i];
    row.setAttribute("aria-current", String(i === state.followed));
    row.tabIndex = -1;
  });
  const open = tableRows.filter((row) => !row.hidden);
  const current = open.find((row) => Number(row.dataset.run) === state.followed);
  if (open.length) (current || open[0]).tabIndex = 0;
  none.hidden = open.length > 0;
  if (current && !body.contains(document.activeElement)) bringIntoBox(current);
}

/** Scroll the table's box, not the page. */
function bringIntoBox(row) {
  const box = row.closest(".rows");
  const head = box.querySelector("thead").offsetHeight;
  const above = row.offsetTop - head;
  const below = row.offsetTop + row.offsetHeight - box.clientHeight;
  if (box.scrollTop > above) box.scrollTop = above;
  if (box.scrollTop < below) box.scrollTop = below;
}

function sortRows(body, heads, columns) {
  const order = runs.map((_, i) => i).sort(compareBy(columns[sortedBy.column], sortedBy.down));
  const byRun = new Map(tableRows.map((row) => [Number(row.dataset.run), row]));
  tableRows = order.map((i) => byRun.get(i));
  body.append(...tableRows);
  heads.forEach((head, c) => head.setAttribute("aria-sort", c !== sortedBy.column ? "none" : sortedBy.down ? "descending" : "ascending"));
}

function makeTable() {
  const columns = columnsOf();
  const body = element("tbody");
  const none = element("p", { className: "none note", text: "No run passes the filters." });
  const heads = columns.map((column, c) => {
    const button = element("button", { text: column.label, type: "button", ...(column.title ? { title: column.title } : {}) });
    button.addEventListener("click", () => {
      Object.assign(sortedBy, { column: c, down: sortedBy.column === c && !sortedBy.down });
      sortRows(body, heads, columns);
      showRows(body, none);
    });
    return element("th", { scope: "col", className: column.isText ? "text" : "", children: [button] });
  });
  tableRows = runs.map((_, i) => rowOf(i, columns));
  sortRows(body, heads, columns);
  const top = element("tr", { children: [...heads, element("th", { text: "its page", className: "text", scope: "col" })] });
  const table = element("table", { children: [element("thead", { children: [top] }), body] });
  const box = element("div", { className: "rows", role: "region", "aria-label": "table of the runs", tabindex: "0", children: [table, none] });
  const hint = "A click on a column's name sorts by it, a second one the other way round. A click on a row, or the arrow keys once a row has the focus, follow that run in every figure; Escape lets it go.";
  document.getElementById("table").append(box, element("p", { className: "note", text: hint }));
  listeners.push(() => showRows(body, none));
  showRows(body, none);
}
