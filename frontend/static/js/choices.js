// A choice of what to show is shown at once; without scripts there is a button.
// On the document, because the live page swaps the selects for new ones.
document.addEventListener("change", (event) => {
  if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
});
