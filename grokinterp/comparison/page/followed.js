// The bar at the foot: the followed run in words, its neighbours in the table, its page.

function followedText(one) {
  const parts = [aboutOf(one), one.why ? `${one.state} (${one.why})` : one.state];
  if (one.known) {
    parts.push(one.memorization === null ? "did not memorise" : `memorised at step ${one.memorization}`);
    parts.push(one.generalization === null ? `did not grok by step ${one.lastStep} (censored)` : `grokked at step ${one.generalization}`);
  }
  if (one.testAccuracy !== null) parts.push(`test accuracy ${shown(one.testAccuracy)} at the end`);
  return parts.filter(Boolean).join(" · ");
}

/** The next row of the table that is shown, in its order. */
function neighbour(by) {
  const open = tableRows.filter((row) => !row.hidden).map((row) => Number(row.dataset.run));
  const place = open.indexOf(state.followed);
  if (open.length) follow(open[place < 0 ? 0 : (place + by + open.length) % open.length]);
}

function barButton(text, label, act) {
  const button = element("button", { text, type: "button", "aria-label": label });
  button.addEventListener("click", act);
  return button;
}

function makeFollowed() {
  const bar = document.getElementById("followed");
  const text = element("p", { "aria-live": "polite" });
  const link = element("span");
  bar.append(
    text, link, barButton("◀", "previous run", () => neighbour(-1)), barButton("▶", "next run", () => neighbour(1)),
    barButton("✕", "follow no run", () => follow(null)),
  );
  listeners.push((before) => {
    if (before.followed === state.followed) return;
    bar.hidden = state.followed === null;
    if (bar.hidden) return;
    const one = runs[state.followed];
    text.replaceChildren(element("b", { text: one.name }), ` · ${followedText(one)}`);
    link.replaceChildren(...pageCell(one).childNodes);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.type !== "search") follow(null);
  });
}
