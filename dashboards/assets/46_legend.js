/* The legend of the layers that are on: classes from the declaration, counts from /legend/…; "?" while a count is not known. */
(function () {
  "use strict";

  const g = window.geoapp;
  const $ = (id) => document.getElementById(id);
  const KEPT_MS = 30000;
  const counted = new Map();

  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  /* The answer for an address, at most half a minute old; null where it could not be had. */
  async function counts(address) {
    const held = counted.get(address);
    if (held && performance.now() - held.at < KEPT_MS) return held.answer;
    try {
      const answer = await fetch(address);
      // Why it cannot be known is worth reading; the server says it in both languages.
      if (answer.status === 422) return { refused: g.half((await answer.json()).error || "") };
      if (!answer.ok) return null;
      const body = await answer.json();
      if (counted.size > 60) counted.clear();
      counted.set(address, { at: performance.now(), answer: body });
      return body;
    } catch { return null; }
  }

  g.CityMap.include({
    legend() {
      clearTimeout(this.legendLater);
      this.legendLater = setTimeout(() => this.legendNow(), 120);
    },
    legendNow() {
      const box = $("layer-legends");
      if (!box) return;
      const shown = this.config.layers.filter((layer) => !layer.fixed && (layer.classings.length || layer.scale) && (this.isShown(layer) || this.isUnknown(layer)));
      const kept = new Map([...box.children].map((part) => [part.dataset.layer, part]));
      const parts = shown.reverse().map((layer) => this.legendOf(layer, kept.get(layer.id)));
      if (parts.some((part, i) => box.children[i] !== part) || box.children.length !== parts.length) box.replaceChildren(...parts);
      this.countOpen();
    },
    /* A legend that is closed asks nothing. */
    countOpen() {
      const box = $("layer-legends");
      if (!box || box.closest(".legend")?.open === false) return;
      for (const part of box.children) {
        const layer = this.declared.get(part.dataset.layer);
        if (part.open && !this.isUnknown(layer)) layer.scale ? this.countHeat(layer) : this.count(layer);
      }
    },
    legendOf(layer, old) {
      const classing = this.classing(layer), rows = layer.scale ? this.heatRows(layer) : classing.classes;
      const key = layer.scale ? JSON.stringify([rows, layer.scaled, this.question(layer)]) : `${classing.id}|${this.question(layer)}${this.isUnknown(layer) ? "|?" : ""}`;
      if (old && old.dataset.key === key) return old;
      const part = make("details", "layer-legend");
      part.dataset.layer = layer.id; part.dataset.key = key;
      // What was switched on by hand is what is looked at now.
      part.open = old ? old.open : !layer.at_first;
      part.append(make("summary", "", layer.name));
      if (layer.scale) { layer.counted = null; part.append(this.kindChoice(layer)); }
      if (layer.classings.length > 1) {
        const by = make("label", "by", this.texts.classing);
        by.append(this.choice(layer, classing));
        part.append(by);
      }
      if (layer.window) part.append(g.windowChoice(this));
      const list = make("ul");
      for (const entry of rows || []) {
        const row = make("li", "layer-row");
        row.dataset.class = entry.value;
        row.append(g.chip(layer, entry), make("span", "", entry.name), make("b", "", "?"));
        list.append(row);
      }
      // Of counts by place no step at all is no event on record.
      const note = this.isUnknown(layer) ? this.texts.unknown_day : !layer.scale ? "" : !rows ? this.texts.not_counted : rows.length ? layer.note : this.texts.no_event;
      part.append(list, make("p", "legend-note", note));
      if (layer.export && !this.isUnknown(layer)) {
        const link = make("a", "legend-export", this.texts.export);
        const asked = new URLSearchParams(this.question(layer));
        asked.delete("class"); asked.set("lang", g.lang); asked.set("register", layer.id);
        link.href = `/exports?${asked}`;
        part.append(link);
      }
      if (this.isFaint(layer)) part.append(make("p", "legend-note today-only", this.texts.today_only));
      return part;
    },
    choice(layer, classing) {
      const box = make("select", "classing");
      box.setAttribute("aria-label", `${layer.name}: ${this.texts.classing}`);
      for (const one of layer.classings) box.add(new Option(one.name, one.id, false, one.id === classing.id));
      box.addEventListener("change", () => this.classBy(layer.id, box.value));
      return box;
    },
    async count(layer) {
      const classing = this.classing(layer), asked = new URLSearchParams(this.question(layer));
      asked.set("classing", classing.id);
      const answer = await counts(`/legend/${layer.id}.json?${asked}`);
      const part = document.querySelector(`.layer-legend[data-layer="${layer.id}"]`);
      if (!part || part.dataset.key !== `${classing.id}|${this.question(layer)}`) return;
      const number = new Map(((answer && answer.classes) || []).map((one) => [one.id, one.count]));
      for (const row of part.querySelectorAll("[data-class]")) {
        const n = number.get(row.dataset.class);
        row.querySelector("b").textContent = n === undefined || n === null ? "?" : n.toLocaleString("en");
      }
      part.querySelector(".legend-note").textContent = !answer ? this.texts.not_counted : answer.refused ? answer.refused : (g.lang === "zh" ? answer.note_zh : answer.note_en) || "";
    },
  });

  document.addEventListener("toggle", (event) => { if (event.target.closest?.(".legend") && g.city && g.city.map) g.city.countOpen(); }, true);
})();
