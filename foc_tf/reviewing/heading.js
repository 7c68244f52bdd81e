// A similar cluster is a button: go and look at it.
element.addEventListener("click", (event) => {
  const similar = event.target.closest("[data-group]");
  if (similar) trigger("submit", { group: Number(similar.dataset.group) });
});
