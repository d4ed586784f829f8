// Before the first paint, so that a dark page never flashes light.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("voxwatch-theme");
  } catch {
    // Forbidden storage: the system's choice holds.
  }
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = theme ?? (dark ? "dark" : "light");
})();
