/* Counts of events: a tile of 64 × 64 bins, each painted by a scale that the server finds for the window and the zoom. */
(function () {
  "use strict";

  const g = window.geoapp;

  /* The colour of a step. Few steps take colours from the whole scale but its first, which hardly stands out from the ground. */
  function colourOf(layer, step) {
    const steps = layer.from_n.length, last = layer.scale.length - 1;
    if (steps > last) return layer.scale[Math.min(step, last)];
    return layer.scale[steps === 1 ? Math.ceil(last / 2) : 1 + Math.round(step * (last - 1) / (steps - 1))];
  }

  g.heatStyle = function (layer, isChosen) {
    const kept = new Map();
    return (feature) => {
      if (!layer.from_n || !layer.from_n.length) return null;
      const n = Number(feature.properties.n), chosen = isChosen(feature);
      let step = 0;
      while (step + 1 < layer.from_n.length && n >= layer.from_n[step + 1]) step += 1;
      const { color } = colourOf(layer, step), key = color + chosen;
      if (!kept.has(key)) kept.set(key, { order: chosen ? 99 : step, symbol(context, x, y, _, zoom, unit) {
        const side = unit * 4096 / layer.bins;
        context.fillStyle = color + "e0";
        context.fillRect(x - side / 2, y - side / 2, side, side);
        // From far away a square is as small as a road is wide, and as orange: a line around it makes it a square.
        if (zoom < 11 && !chosen) { context.lineWidth = 1; context.strokeStyle = g.theme === "dark" ? "#ffffff66" : "#3b150999"; context.strokeRect(x - side / 2, y - side / 2, side, side); }
        if (chosen) { context.lineWidth = 2.6; context.strokeStyle = g.ink.chosen; context.strokeRect(x - side / 2, y - side / 2, side, side); }
      } });
      return kept.get(key);
    };
  };

  g.CityMap.include({
    /* The scale of the window at this zoom; asked for again when either is another one. */
    async scaleHeat(layer) {
      const zoom = Math.max(0, Math.min(layer.max_zoom, Math.round(this.map.getZoom()) - 1));
      const asked = new URLSearchParams(this.question(layer));
      asked.set("zoom", zoom);
      const address = `/tiles/${layer.id}.json?${asked}`;
      if (layer.scaled === address) return;
      layer.scaled = address;
      try {
        const answer = await fetch(address);
        if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
        const body = await answer.json();
        if (layer.scaled !== address) return;
        layer.from_n = body.scale.from_n; layer.counted = null;
      } catch (fault) { layer.scaled = null; layer.from_n = null; this.failed(); console.warn("scale", fault); }
      this.tiles[layer.id].restyle();
      this.legend();
    },
    /* How many squares each colour has in the reader's area, how many events of each kind: asked after the colours, which do not
       wait for it. */
    async countHeat(layer) {
      const address = layer.scaled;
      if (!address || layer.counted === address) return;
      layer.counted = address;
      let scale = {};
      try {
        const answer = await fetch(`${address}&counted=true`);
        if (answer.ok) scale = (await answer.json()).scale;
      } catch (fault) { console.warn("counts", fault); }
      const part = document.querySelector(`.layer-legend[data-layer="${layer.id}"]`);
      if (layer.scaled !== address || !part) return;
      const said = (n) => (n === undefined || n === null ? "?" : n.toLocaleString("en"));
      for (const row of part.querySelectorAll("[data-class]")) row.querySelector("b").textContent = said((scale.squares || [])[Number(row.dataset.class)]);
      const events = scale.events || {}, all = scale.events && Object.values(events).reduce((a, b) => a + b, 0);
      for (const option of part.querySelectorAll(".kind-choice option")) option.textContent = `${option.dataset.name} · ${said(option.value ? events[option.value] : all)}`;
      if (!scale.squares) layer.counted = null;
    },
    /* Which events are counted: all, or those of one kind; with their numbers in the window. */
    kindChoice(layer) {
      const line = document.createElement("label"), box = document.createElement("select");
      line.className = "by"; line.textContent = this.texts.kind;
      box.className = "kind-choice";
      box.setAttribute("aria-label", `${layer.name}: ${this.texts.kind}`);
      for (const { value, name } of [{ value: "", name: this.texts.every_kind }, ...layer.kinds]) {
        const option = new Option(name, value, false, value === this.state.kind);
        option.dataset.name = name;
        box.add(option);
      }
      box.addEventListener("change", () => { this.state.kind = box.value; this.showAll(); this.again(layer.id); this.write(); });
      line.append(box);
      return line;
    },
    heats() { for (const layer of this.config.layers) if (layer.paint === "bins" && this.isShown(layer)) this.scaleHeat(layer); },
    /* [{color, ink, name}] from many to few; null while the scale is not known. */
    heatRows(layer) {
      if (!layer.from_n) return null;
      return layer.from_n.map((from, i) => {
        const next = layer.from_n[i + 1];
        return { ...colourOf(layer, i), value: i, numeral: "", name: next === undefined ? `≥ ${from.toLocaleString("en")}` : next - from === 1 ? `${from}` : `${from.toLocaleString("en")} – ${(next - 1).toLocaleString("en")}` };
      }).reverse();
    },
  });
})();
