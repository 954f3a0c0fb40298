// Light and dark, and what every figure shares.

const GROUNDS = {
  light: { card: "#ffffff", ink: "#222222", grid: "#e6e8ea", faint: "#c4c4c4", soft: "#5c6166" },
  dark: { card: "#1d1f21", ink: "#e4e4e4", grid: "#33373b", faint: "#5b6065", soft: "#a3a9ae" },
};
const darkWanted = window.matchMedia("(prefers-color-scheme: dark)");
let theme = darkWanted.matches ? "dark" : "light";
let chosenByHand = false;
const coarse = window.matchMedia("(pointer: coarse)").matches;
const themeListeners = []; // told when it changed between light and dark
const ground = () => GROUNDS[theme];

/** What every figure's layout begins with. */
function baseLayout(more = {}) {
  const { ink, grid, card } = ground();
  const axis = {
    gridcolor: grid, linecolor: grid, zerolinecolor: grid, zeroline: false, tickcolor: grid, automargin: true,
    title: { standoff: 8 }, tickfont: { size: 11 },
  };
  const layout = {
    font: { family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", size: 12, color: ink },
    paper_bgcolor: card, plot_bgcolor: card,
    margin: { l: 58, r: 12, t: 10, b: 44 },
    hoverlabel: { font: { size: 12 }, namelength: -1, bgcolor: card, bordercolor: grid },
    dragmode: coarse ? false : "zoom",
    uirevision: "steady",
    ...more,
  };
  layout.legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 }, ...more.legend };
  for (const name of new Set(["xaxis", "yaxis", ...Object.keys(more).filter((key) => /^[xy]axis\d*$/.test(key))])) {
    const mine = more[name] || {};
    const title = typeof mine.title === "string" ? { text: mine.title } : mine.title;
    layout[name] = { ...axis, ...mine, title: { ...axis.title, ...title } };
  }
  return layout;
}

/** The bar beside a map. */
function colorBar(title) {
  return { title: { text: plain(title), side: "right", font: { size: 11 } }, thickness: 12, len: 0.95, outlinewidth: 0, tickfont: { size: 10 } };
}

/** Set light or dark and draw everything anew. */
function setTheme(name) {
  theme = name;
  document.documentElement.dataset.theme = name;
  document.getElementById("theme").textContent = name === "dark" ? "light" : "dark";
  themeListeners.forEach((told) => told());
}

function startTheme() {
  document.getElementById("theme").addEventListener("click", () => {
    chosenByHand = true;
    setTheme(theme === "dark" ? "light" : "dark");
  });
  darkWanted.addEventListener("change", () => {
    if (!chosenByHand) setTheme(darkWanted.matches ? "dark" : "light");
  });
}
