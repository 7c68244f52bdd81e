// What the server says about the images of the page after a click: all of them, so that an answer
// that the browser skipped is made good by the next one. Older answers than the last are passed over.
let last = -1;
watch("value", () => {
  const answer = JSON.parse(props.value || "{}");
  if (!(answer.at > last)) return;
  last = answer.at;
  const marked = new Set(answer.marked);
  for (const index of answer.images) {
    const cell = document.querySelector(`.foc-cell[data-image="${index}"]`);
    if (!cell) continue;
    cell.setAttribute("aria-pressed", marked.has(index));
    cell.classList.remove("foc-waiting");
  }
});
