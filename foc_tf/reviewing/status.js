// Until the server has answered, the page does not say "saved" (app.css: data-waiting).
watch("value", () => document.getElementById("foc-status").removeAttribute("data-waiting"));
