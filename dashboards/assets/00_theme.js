/* The colour scheme before anything is drawn, so that a dark room sees no white flash: ?theme=, else the last choice,
   else what the system asks for. */
(function () {
  "use strict";
  const asked = new URLSearchParams(location.search).get("theme");
  let kept = null;
  try { kept = localStorage.getItem("mantine-color-scheme-value"); } catch { /* storage may be switched off */ }
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const theme = ["light", "dark"].includes(asked) ? asked : (kept === "dark" || kept === "light" ? kept : system);
  // Mantine reads the same place when it starts, so that it does not switch back.
  try { localStorage.setItem("mantine-color-scheme-value", theme); } catch { /* as above */ }
  const lang = new URLSearchParams(location.search).get("lang") === "en" ? "en" : "zh-CN";
  document.documentElement.setAttribute("data-mantine-color-scheme", theme);
  document.documentElement.setAttribute("lang", lang);
  window.geoapp = { theme, lang: lang === "en" ? "en" : "zh" };
})();
