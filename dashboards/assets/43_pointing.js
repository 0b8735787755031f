/* Pointing and choosing: what lies under a place, what a click means, where the map goes. */
(function () {
  "use strict";

  const g = window.geoapp;
  const $ = (id) => document.getElementById(id);

  g.CityMap.include({
    /* All that lies under a place, one of each layer, the topmost first; the cell of the lens is always last. */
    under(latlng) {
      const found = [];
      for (const layer of [...this.config.layers].reverse()) {
        const tiles = this.tiles[layer.id];
        if (!layer.pickable || !tiles || !this.map.hasLayer(tiles)) continue;
        const feature = tiles.pick(latlng);
        // A group has nothing to show but its number; a square of counted events has.
        if (feature && (layer.scale || !(Number(feature.properties.n || 0) > 1))) found.push({ layer, feature });
      }
      return found.sort((a, b) => Number(a.layer.lens) - Number(b.layer.lens));
    },
    idOf(layer, feature) { return String(layer.lens ? feature.properties.code : feature.properties[layer.key] ?? feature.id); },
    click(event) {
      const found = this.under(event.latlng);
      if (!found.length) { this.select(null); return; }
      const [{ layer, feature }, ...below] = found;
      const also = below.map((one) => ({ kind: one.layer.id, id: this.idOf(one.layer, one.feature), name: this.titleOf(one) }));
      this.select(layer.id, this.idOf(layer, feature), { fly: false, also });
    },
    titleOf({ layer, feature }) {
      const p = feature.properties;
      if (layer.lens) return `${this.texts.cell} ${g.cellCode(p.code)}`;
      if (layer.scale) return layer.name;
      return (g.lang === "zh" ? p.name_zh : p.name_en || p.name_zh) || `${layer.name} ${p.code || ""}`.trim();
    },
    /* In words: the class of the usual or chosen classing, the reason why a camera sees nothing, the share seen. */
    noteOf({ layer, feature }) {
      const p = feature.properties;
      if (layer.lens) {
        const entry = this.classOf(feature.id), score = g.grid.scores[feature.id];
        const note = entry ? entry.name : this.texts.unknown_class, digits = { risk: 1, duty: 2 }[g.grid.lens];
        return digits && score !== undefined && score !== null ? `${note} · ${Number(score).toFixed(digits)}` : note;
      }
      if (layer.scale) return `${Number(p.n).toLocaleString("en")} ${this.texts.events}`;
      const classing = this.classing(layer);
      const said = [classing ? g.classOf(classing)(feature).name || this.texts.unknown_class : layer.name];
      if (p.reason) said.push(this.texts[`reason.${p.reason}`] || p.reason);
      if (p.seen_fraction !== undefined && p.seen_fraction !== null) said.push(`${this.texts.seen} ${Math.round(100 * Number(p.seen_fraction))} %`);
      return said.join(" · ");
    },
    hover(event) {
      const card = $("hover-card");
      if (!card) return;
      const [found] = event ? this.under(event.latlng) : [];
      this.map.getContainer().style.cursor = found ? "pointer" : "";
      if (!found) { card.hidden = true; return; }
      card.querySelector("b").textContent = this.titleOf(found);
      card.querySelector("span").textContent = this.noteOf(found);
      const width = this.map.getSize().x, x = event.containerPoint.x;
      card.style.transform = `translate(${x > width - 290 ? x - 270 : x + 14}px, ${event.containerPoint.y + 14}px)`;
      card.hidden = false;
    },
    isChosen(layer, feature) {
      const chosen = this.state.selected;
      // Asked of every feature that is drawn: mostly nothing of this layer is chosen.
      return chosen !== "" && chosen.startsWith(layer.id) && chosen === `${layer.id}:${this.idOf(layer, feature)}`;
    },
    select(kind, id, { fly = true, also = [] } = {}) {
      const before = this.state.selected.split(":")[0];
      this.state.selected = kind ? `${kind}:${id}` : "";
      // What adds up a window is told of the map's own; anything else has none.
      const layer = this.declared.get(kind), window_ = layer && layer.scale ? g.windowOf(this.state.window, this.past.as_of) : {};
      g.tell("selection", kind ? { kind, id: String(id), fly, also, ...window_ } : null);
      for (const one of new Set([before, kind])) if (this.tiles[one]) this.tiles[one].restyle();
      for (const [key, marker] of this.markers) marker.getElement()?.classList.toggle("chosen", kind === "incident" && key === String(id));
      this.ellipse(kind === "incident" ? this.incidents.find((f) => String(f.properties.id || f.id) === String(id)) : null);
      this.write();
    },
    fly(lat, lon, zoom) { this.map.setView([lat, lon], Math.max(this.map.getZoom(), zoom || 15), { animate: !matchMedia("(prefers-reduced-motion: reduce)").matches }); },
    flyBounds(box) { this.map.fitBounds([[box[1], box[0]], [box[3], box[2]]], { padding: [24, 24], maxZoom: 17 }); },
  });
})();
