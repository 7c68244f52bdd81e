// The page of images: click, shift-click and keys mark what does not fit. `element`, `trigger` and
// `watch` are Gradio's. What is marked is decided by the server's answer (see answer.js), not here.
let anchor = null;
let anchorFits = true;

const cells = () => [...element.querySelectorAll(".foc-cell")];
const fits = (cell) => cell.getAttribute("aria-pressed") !== "true";
const ticket = () => Number(element.querySelector(".foc-grid")?.dataset.ticket);
const wait = () => document.getElementById("foc-status")?.setAttribute("data-waiting", "");

function send(chosen, fit) {
  chosen.forEach((cell) => cell.classList.add("foc-waiting"));
  wait();
  const images = chosen.map((cell) => Number(cell.dataset.image));
  trigger("submit", { ticket: ticket(), images: images, fits: fit });
}

function toggle(cell, range) {
  const all = cells();
  const from = all.indexOf(anchor);
  const to = all.indexOf(cell);
  if (range && from >= 0) {
    send(all.slice(Math.min(from, to), Math.max(from, to) + 1), anchorFits);
    return;
  }
  anchor = cell;
  anchorFits = !fits(cell);
  send([cell], anchorFits);
}

function move(cell, key) {
  const all = cells();
  const at = all.indexOf(cell);
  const perRow = Math.max(1, all.filter((other) => other.offsetTop === all[0].offsetTop).length);
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perRow, ArrowDown: perRow }[key];
  const next = all[at + by];
  if (!next) return;
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

// A page of images that was made before a click but came after its answer knows nothing of it.
function show() {
  const answer = window.focAnswer;
  const at = Number(element.querySelector(".foc-grid")?.dataset.at);
  // In a blind review the same number can be an image of the other run.
  if (!answer || !(answer.at > at) || answer.ticket !== ticket()) return;
  const [told, marked] = [new Set(answer.images), new Set(answer.marked)];
  for (const cell of cells()) {
    const index = Number(cell.dataset.image);
    if (!told.has(index)) continue;
    cell.setAttribute("aria-pressed", marked.has(index));
    cell.classList.remove("foc-waiting");
  }
}

function fresh() {
  anchor = null;
  cells().forEach((cell, index) => (cell.tabIndex = index ? -1 : 0));
  show();
}

element.addEventListener("mousedown", (event) => event.shiftKey && event.preventDefault());
element.addEventListener("click", (event) => {
  const cell = event.target.closest(".foc-cell");
  if (cell) toggle(cell, event.shiftKey);
});
element.addEventListener("keydown", (event) => {
  const cell = event.target.closest(".foc-cell");
  if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key.startsWith("Arrow")) move(cell, event.key);
  else if ([" ", "Enter", "x", "X"].includes(event.key)) toggle(cell, event.shiftKey);
  else return;
  event.preventDefault();
});
window.focShow = show;
watch("value", fresh);
fresh();

if (!window.focKeys) {
  window.focKeys = true;
  const buttons = { n: "foc-next", p: "foc-previous", d: "foc-done", u: "foc-undo" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) return;
    if (event.key.startsWith("Arrow") && event.target === document.body) {
      document.querySelector('.foc-cell[tabindex="0"]')?.focus();
      event.preventDefault();
    }
    document.getElementById(buttons[event.key])?.click();
  });
  document.addEventListener("click", (event) => event.target.closest("button[id^=foc-]") && wait());
}
