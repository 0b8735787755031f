/* What the page does without asking the server: choosing, switching lens and layers, theme and language. */
(function () {
  "use strict";

  const g = window.geoapp;

  document.addEventListener("click", (event) => {
    const target = event.target.closest("[data-select], [data-fly], [data-lang], [data-theme-switch], [data-close], [data-layers], [data-rail], [data-day-step], [data-lens-by]");
    if (!target) return;
    const data = target.dataset;
    if (data.select) {
      event.preventDefault();
      const [kind, ...rest] = data.select.split(":");
      if (g.city && g.city.map) g.city.select(kind, rest.join(":"));
      else location.href = `/?lang=${g.lang}&selected=${data.select}`;
    } else if (data.fly) {
      event.preventDefault();
      const box = data.fly.split(",").map(Number);
      if (g.city && g.city.map) g.city.flyBounds(box);
    } else if (data.lang) {
      event.preventDefault();
      const query = new URLSearchParams(location.search);
      query.set("lang", data.lang);
      location.search = query.toString();
    } else if (data.themeSwitch) {
      const theme = g.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("mantine-color-scheme-value", theme); } catch { /* storage may be switched off */ }
      const query = new URLSearchParams(location.search);
      query.set("theme", theme);
      location.search = query.toString();
    } else if (data.close) { if (g.city) g.city.select(null); }
    else if (data.layers) target.setAttribute("aria-expanded", String(document.body.classList.toggle("layers-open")));
    else if (data.lensBy) { if (g.city && g.city.map) g.city.lensBy(data.lensBy); }
    else if (data.dayStep) g.stepDay(Number(data.dayStep));
    else if (data.rail) document.body.classList.toggle("rail-open");
  });

  /* A long table, drawn from values: text only, never markup. */
  function fillTable(box, { head, rows, empty }) {
    const make = (name, className, text) => {
      const element = document.createElement(name);
      if (className) element.className = className;
      if (text !== undefined) element.textContent = text;
      return element;
    };
    if (!rows.length) { box.replaceChildren(make("p", "empty", empty)); return; }
    const table = make("table", "plain-table"), top = make("tr"), body = make("tbody");
    for (const name of head) { const cell = make("th", "", name); cell.scope = "col"; top.append(cell); }
    for (const { gap, cells } of rows) {
      const row = make("tr", gap ? "gap" : "");
      for (const { text, code, tag, select } of cells) {
        const cell = make("td");
        if (select) { const link = make("button", "link", text); link.type = "button"; link.dataset.select = select; cell.append(link); }
        else if (tag) cell.append(make("span", tag, text));
        else if (code) cell.append(make("b", "", text), make("br"), make("code", "", code));
        else cell.textContent = text;
        row.append(cell);
      }
      body.append(row);
    }
    const top_ = make("thead");
    top_.append(top);
    table.append(top_, body);
    box.replaceChildren(table);
  }

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && g.city && g.city.map) { g.city.select(null); document.body.classList.remove("layers-open"); }
  });

  /* Links between the pages keep language and theme. */
  (window.dash_clientside = window.dash_clientside || {}).geoapp = {
      theme() { return g.theme; },
      cameraTable(data) {
        const box = document.getElementById("camera-table");
        if (box && data) fillTable(box, data);
        return window.dash_clientside.no_update;
      },
      lens(value) { if (g.city && g.city.map && value) g.city.lens(value); return window.dash_clientside.no_update; },
      past(page) {
        if (g.city && g.city.map && page && page.as_of !== g.city.past.as_of) { const { day, as_of, unknown, before } = page; g.city.goTo({ day, as_of, unknown, before }); g.tick("slow-tick", {}); }
        return window.dash_clientside.no_update;
      },
      layers(values) { if (g.city && g.city.map) g.city.layers(values || []); return window.dash_clientside.no_update; },
      fly(target) {
        if (!g.city || !g.city.map || !target) return window.dash_clientside.no_update;
        if (target.box) g.city.flyBounds(target.box); else g.city.fly(target.lat, target.lon, target.zoom);
        return window.dash_clientside.no_update;
      },
      search(value) {
        if (!value || !g.city) return [window.dash_clientside.no_update];
        const [kind, ...rest] = value.split(":");
        if (kind === "town") { g.city.flyBounds(rest[0].split(",").map(Number)); return [null]; }
        g.city.select(kind, rest.join(":"));
        return [null];
      },
      opened(data) { document.body.classList.toggle("drawer-open", Boolean(data)); return window.dash_clientside.no_update; },
  };
})();
