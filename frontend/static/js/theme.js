// Light, dark, or as the system says. Runs before the first paint, so that nothing flashes.
(() => {
  const KEY = "muscope-theme";
  const CHOICES = ["system", "light", "dark"];
  const root = document.documentElement;

  const chosen = () => {
    try {
      const kept = localStorage.getItem(KEY);
      return CHOICES.includes(kept) ? kept : "system";
    } catch {
      return "system"; // storage can be forbidden; the system's choice still works
    }
  };

  const apply = (theme) => {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.dataset.theme = theme;
    document.dispatchEvent(new CustomEvent("theme"));
  };

  apply(chosen());

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.querySelector("[data-theme-switch]");
    if (!button) return;
    const say = () => { button.textContent = `Theme: ${chosen()}`; };
    button.hidden = false;
    say();
    button.addEventListener("click", () => {
      const next = CHOICES[(CHOICES.indexOf(chosen()) + 1) % CHOICES.length];
      try { localStorage.setItem(KEY, next); } catch { /* see above */ }
      apply(next);
      say();
    });
  });
})();
