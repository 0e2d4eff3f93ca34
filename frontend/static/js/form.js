// A model that is ticked brings its first optimizer along, so that the plan is complete at once.
document.addEventListener("change", (event) => {
  const arm = event.target.closest("[data-model]");
  if (!arm || event.target.name !== arm.dataset.model || !event.target.checked) return;
  const optimizers = [...arm.querySelectorAll(".optimizer .chip input")];
  if (optimizers.every((optimizer) => !optimizer.checked)) optimizers[0].checked = true;
});
