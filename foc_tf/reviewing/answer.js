// What the server says about the images of the page after a click: all of them, so that an answer
// that the browser skipped is made good by the next one. Older answers than the last are passed over.
watch("value", () => {
  const answer = JSON.parse(props.value || "{}");
  if (!(answer.at > (window.focAnswer?.at ?? -1))) return;
  window.focAnswer = answer;
  window.focShow();
});
