// Dark or light, as chosen on the page and remembered there; else as the system has it. It runs
// before anything is drawn, so that no page flashes.

{
  const NAME = "animclip-theme";
  const show = (theme) => { document.documentElement.dataset.theme = theme; };

  // A browser that keeps nothing lets nothing be read, either.
  const kept = () => {
    try {
      return localStorage.getItem(NAME) ?? "";
    } catch {
      return "";
    }
  };

  const keep = (theme) => {
    try {
      localStorage.setItem(NAME, theme);
    } catch {
      // It holds for this page.
    }
  };

  show(kept());
  document.addEventListener("DOMContentLoaded", () => {
    const choice = document.querySelector("select.theme");
    if (!choice) return;
    choice.value = kept();
    choice.addEventListener("change", () => {
      show(choice.value);
      keep(choice.value);
    });
  });
}
