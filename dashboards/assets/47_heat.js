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

  g.heatStyle = function (layer) {
    const kept = new Map();
    return ({ properties }) => {
      if (!layer.from_n || !layer.from_n.length) return null;
      const n = Number(properties.n);
      let step = 0;
      while (step + 1 < layer.from_n.length && n >= layer.from_n[step + 1]) step += 1;
      const { color } = colourOf(layer, step);
      if (!kept.has(color)) kept.set(color, { order: step, symbol(context, x, y, feature, zoom, unit) {
        const side = unit * 4096 / layer.bins;
        context.fillStyle = color + "e0";
        context.fillRect(x - side / 2, y - side / 2, side, side);
      } });
      return kept.get(color);
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
        layer.from_n = body.scale.from_n;
      } catch (fault) { layer.scaled = null; layer.from_n = null; this.failed(); console.warn("scale", fault); }
      this.tiles[layer.id].restyle();
      this.legend();
    },
    heats() { for (const layer of this.config.layers) if (layer.paint === "bins" && this.isShown(layer)) this.scaleHeat(layer); },
    /* [{color, ink, name}] from many to few; null while the scale is not known. */
    heatRows(layer) {
      if (!layer.from_n) return null;
      return layer.from_n.map((from, i) => {
        const next = layer.from_n[i + 1];
        return { ...colourOf(layer, i), name: next === undefined ? `≥ ${from.toLocaleString("en")}` : next - from === 1 ? `${from}` : `${from.toLocaleString("en")} – ${(next - 1).toLocaleString("en")}` };
      }).reverse();
    },
  });
})();
