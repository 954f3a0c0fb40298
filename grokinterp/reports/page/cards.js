// Cards: a title, the figure, its tools and its caption. Only those in sight are drawn; the others when they come.
// A page that has them says in stamp() what its files' names end with.

const cards = [];
const PAINTERS = {}; // view name -> (view, card) => {traces, layout, when, tools}
const inSight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      const card = cards.find((one) => one.root === entry.target);
      card.visible = entry.isIntersecting;
      if (card.visible && card.stale) paint(card);
    }
  },
  { rootMargin: "200px" },
);

/** Draw a card's figure for the state as it is. */
function paint(card) {
  card.stale = false;
  const { traces, layout, when = "" } = card.painter(card.view, card);
  card.when.textContent = when;
  Plotly.react(card.plot, traces, baseLayout(layout), { displayModeBar: false, responsive: true, plotlyServerURL: "" });
  card.root.dataset.stale = "false";
  if (!card.listening) {
    card.listening = true;
    card.plot.on("plotly_click", (event) => card.click && card.click(event.points[0], card));
  }
}

function redraw(card) {
  card.stale = true;
  card.root.dataset.stale = "true";
  if (card.visible) paint(card);
}

const redrawAll = () => cards.forEach(redraw);

/** The card of a view; painters may give it `controls` (elements) and `click`. */
function makeCard(view) {
  const plot = element("div", { className: "plot", role: "img", "aria-label": view.title });
  const when = element("p", { className: "when" });
  const tools = element("div", { className: "tools" });
  for (const format of ["png", "svg"]) {
    const button = element("button", { text: format, type: "button", "aria-label": `save ${view.title} as ${format}` });
    button.addEventListener("click", () => save(card, format));
    tools.append(button);
  }
  const head = element("div", { className: "head", children: [element("h3", { text: view.title }), tools] });
  const root = element("section", { className: "card", id: `view-${view.name}`, children: [head, when, plot] });
  if (view.note) root.append(element("p", { className: "note", text: view.note }));
  if (view.caption) root.append(captionOf(view.caption));
  const card = { view, root, plot, when, tools, stale: true, visible: false, painter: PAINTERS[view.painter || view.name] };
  if (card.painter.prepare) card.painter.prepare(view, card);
  cards.push(card);
  inSight.observe(root);
  return root;
}

function save(card, format) {
  const name = `${run.name}-${card.view.name}${stamp()}`.replace(/[^\w.-]+/g, "_").slice(0, 100);
  const size = { width: card.plot.clientWidth, height: card.plot.clientHeight + 40 };
  const { margin } = card.plot.layout;
  const title = { text: plain(`${card.view.title}. ${card.when.textContent}`), font: { size: 12 }, x: 0.02, xanchor: "left", y: 0.98, yanchor: "top" };
  const figure = { data: card.plot.data, layout: { ...card.plot.layout, title, margin: { ...margin, t: margin.t + 40 } } };
  Plotly.downloadImage(figure, { format, filename: name, scale: format === "png" ? 3 : 1, ...size });
}

/** A choice in a card's tools. */
function choice(card, label, options, chosen, changed) {
  const select = element("select", { "aria-label": label });
  for (const [value, text] of options) select.append(element("option", { text, value }));
  select.value = chosen;
  select.addEventListener("change", () => {
    changed(select.value);
    redraw(card);
  });
  card.tools.prepend(select);
  return select;
}

function captionOf(caption) {
  const list = element("dl");
  for (const column of caption.columns) {
    const unit = column.unit ? ` (${column.unit})` : "";
    list.append(element("dt", { text: column.name + unit }), element("dd", { text: column.meaning }));
  }
  return element("details", {
    children: [
      element("summary", { text: "What this shows" }),
      element("p", { text: caption.summary }),
      list,
      element("p", { text: `Table ${caption.table}. ${caption.reference}` }),
    ],
  });
}
