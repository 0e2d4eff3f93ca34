// `?` opens the help, unless somebody is typing.
document.addEventListener("keydown", (event) => {
  const help = document.querySelector("[data-help]");
  if (event.key !== "?" || !help || event.ctrlKey || event.metaKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  help.click();
});
