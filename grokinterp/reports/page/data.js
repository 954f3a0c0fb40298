// The run, as it stands in the page, and how its arrays are read.

const run = JSON.parse(document.getElementById("run-data").textContent);
const READERS = {
  u1: [1, "getUint8"],
  u2: [2, "getUint16"],
  f4: [4, "getFloat32"],
};

/** A flat array of numbers, decoded once. */
function numbers(packed) {
  if (!packed.values) {
    const text = atob(packed.base64);
    const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
    const [width, read] = READERS[packed.dtype];
    const view = new DataView(bytes.buffer);
    packed.values = Array.from({ length: bytes.length / width }, (_, i) => view[read](i * width, true));
  }
  return packed.values;
}

/** Frame `index` of an array whose first axis is the checkpoints, flat. */
function frameOf(packed, index) {
  const size = packed.shape.slice(1).reduce((a, b) => a * b, 1);
  return numbers(packed).slice(index * size, (index + 1) * size);
}

/** A rounded map's values: null where the cell is empty. */
function levelsOf(packed, index) {
  const unit = (packed.high - packed.low) / 254;
  return frameOf(packed, index).map((q) => (q === 255 ? null : packed.low + q * unit));
}

/** A flat array as rows. */
function rowsOf(flat, width) {
  return Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));
}

/** The last of the ascending steps that is not after `step`; the first if all are. */
function latest(steps, step) {
  let found = 0;
  steps.forEach((s, i) => {
    if (s <= step) found = i;
  });
  return found;
}

/** The place of the step nearest to x. */
function nearest(steps, x) {
  let found = 0;
  steps.forEach((s, i) => {
    if (Math.abs(s - x) < Math.abs(steps[found] - x)) found = i;
  });
  return found;
}

/** Four digits unless told, and a dash for nothing. */
function shown(value, digits = 4) {
  if (value === null || value === undefined) return "–";
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1e-3 && Math.abs(value) < 1e5 ? String(Number(value.toPrecision(digits))) : value.toExponential(2);
}

/** Text for plotly, which reads tags and entities in labels. */
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

/** An element with text, classes and children; text is never read as markup. */
function element(tag, { text, className, children = [], ...rest } = {}) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  for (const [name, value] of Object.entries(rest)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
