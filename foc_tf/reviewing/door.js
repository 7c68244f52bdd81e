// An expert who was here before is a button.
element.addEventListener("click", (event) => {
  const known = event.target.closest("[data-number]");
  if (known) trigger("submit", { number: Number(known.dataset.number) });
});
