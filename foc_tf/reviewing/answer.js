// What the server says about the images that were clicked.
watch("value", () => {
  const answer = JSON.parse(props.value || "{}");
  const marked = new Set(answer.marked);
  for (const index of answer.images || []) {
    const cell = document.querySelector(`.foc-cell[data-image="${index}"]`);
    if (!cell) continue;
    cell.setAttribute("aria-pressed", marked.has(index));
    cell.classList.remove("foc-waiting");
  }
});
