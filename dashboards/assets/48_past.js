/* The day and the window that the map speaks of. The day is chosen in the page's own field and checked by the server
   (dashboards/past_day.py); the window of event layers is chosen in their legend. */
(function () {
  "use strict";

  const g = window.geoapp;
  const SPANS = { "24h": 1, "7d": 7, "30d": 30, "1y": 365 };
  const DAY_MS = 86400000, STEP_MS = 300000;
  const RANGE = /^(\d{4}-\d{2}-\d{2})_(\d{4}-\d{2}-\d{2})$/;

  /* Midnight of a day on the city's clock, as an instant: the zone's distance from UTC is what the clock there says. */
  function midnight(day, days = 0) {
    const utc = Date.parse(`${day}T00:00:00Z`) + days * DAY_MS;
    const zone = document.querySelector(".screen")?.dataset.zone || "UTC";
    const shape = new Intl.DateTimeFormat("en-CA", { timeZone: zone, hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" });
    const there = (instant) => { const p = Object.fromEntries(shape.formatToParts(instant).map((x) => [x.type, x.value])); return Date.parse(`${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}:${p.second}Z`) - instant; };
    // Twice, for a night in which the clock is moved.
    const first = utc - there(utc);
    return new Date(utc - there(first));
  }

  /* {from, to} as ISO times of a window's name; to = "" is now. The start of a rolling window moves in steps of five minutes,
     so that tiles of one look are the same tiles at the next. */
  g.windowOf = function (name, asOf) {
    const range = RANGE.exec(name);
    if (range) return { from: midnight(range[1]).toISOString(), to: midnight(range[2], 1).toISOString() };
    const end = asOf ? Date.parse(asOf) : Math.ceil(Date.now() / STEP_MS) * STEP_MS;
    const from = new Date(end - (SPANS[name] || SPANS["30d"]) * DAY_MS).toISOString();
    return { from, to: asOf ? new Date(end).toISOString() : "" };
  };

  function windowSet(city, name) {
    city.state.window = name;
    city.showAll();
    const chosen = city.declared.get(city.state.selected.split(":")[0]);
    if (chosen && chosen.scale) city.again();
    city.write();
  }

  g.windowChoice = function (city) {
    const texts = city.texts, box = document.createElement("div"), choice = document.createElement("select");
    const range = RANGE.exec(city.state.window);
    box.className = "window-choice";
    choice.setAttribute("aria-label", texts.window);
    for (const name of [...Object.keys(SPANS), "range"]) choice.add(new Option(texts[`window.${name}`], name, false, range ? name === "range" : name === city.state.window));
    box.append(choice);
    const ends = ["from", "to"].map((end, i) => {
      const day = document.createElement("input");
      day.type = "date"; day.value = range ? range[i + 1] : ""; day.hidden = !range; day.max = city.config.today;
      day.setAttribute("aria-label", texts[`window.${end}`]);
      box.append(day);
      return day;
    });
    choice.addEventListener("change", () => {
      const isRange = choice.value === "range";
      for (const day of ends) day.hidden = !isRange;
      if (!isRange) windowSet(city, choice.value); else ends[0].focus();
    });
    for (const day of ends) day.addEventListener("change", () => {
      const [from, to] = ends.map((end) => end.value);
      // A window that ends before it begins is not asked; the field says so.
      ends[1].setCustomValidity(from && to && from > to ? texts["window.reversed"] : "");
      if (from && to && ends[1].reportValidity()) windowSet(city, `${from}_${to}`);
    });
    return box;
  };

  /* Yesterday, tomorrow, today again: the field's value; the server answers to it. */
  g.stepDay = function (step) {
    const today = g.city ? g.city.config.today : "";
    const from = (g.city && g.city.past.day) || today;
    const next = new Date(Date.parse(`${from}T00:00:00Z`) + step * DAY_MS).toISOString().slice(0, 10);
    window.dash_clientside.set_props("day", { value: step === 0 || next >= today ? "" : next });
  };
})();
