/* What is written on the map: names of units, water and roads, numerals of cells, names of what is shown. */
(function () {
  "use strict";

  const g = window.geoapp;
  const FACE = '"Noto Sans CJK SC","Source Han Sans SC","Microsoft YaHei","PingFang SC",system-ui,sans-serif';
  const WET = ["sea", "water", "river"];
  const name = (p) => (g.lang === "zh" ? p.name_zh : p.name_en || p.name_zh) || "";

  g.CityMap.include({
    names() {
      const out = [], zoom = this.map.getZoom(), seen = new Set();
      const once = (key) => !seen.has(key) && seen.add(key);
      for (const layer of this.config.layers) {
        const tiles = this.tiles[layer.id];
        if (!tiles || !this.map.hasLayer(tiles)) continue;
        if (layer.paint === "name") this.unitNames(tiles, zoom, once, out);
        else if (layer.style.symbol === "ground") this.groundNames(tiles, zoom, once, out);
        else if (layer.lens) { if (!this.covered) this.numerals(tiles, out); }
        else if (layer.named) this.featureNames(layer, tiles, zoom, once, out);
      }
      return out;
    },

    unitNames(tiles, zoom, once, out) {
      tiles.eachInView(({ properties: p, points }, world) => {
        const town = p.level === "town";
        if (!points || p.level === "county" || (!town && zoom < 13.5) || !once(`u${p.code}`)) return;
        const size = town ? (zoom < 12 ? 14 : 16) : 11.5;
        const [x, y] = world(...points[0]);
        out.push({ x, y: y - (town && zoom > 11 ? 4 : 0), text: name(p), font: `${town ? 700 : 500} ${size}px ${FACE}`, size, color: town ? g.ink.text : g.ink.soft, halo: g.ink.halo, rank: town ? 0 : 4 });
      });
    },
    groundNames(tiles, zoom, once, out) {
      if (zoom < 12) return;
      tiles.eachInView(({ properties: p, middle, points }, world, scale, extent) => {
        const at = middle || (points && points[0]);
        const rank = { sea: 3, motorway: 5, main_road: 6, water: 5, river: 6 }[p.kind];
        if (!at || !rank || !name(p) || at[0] < 0 || at[1] < 0 || at[0] > extent || at[1] > extent || !once(`b${name(p)}`)) return;
        const [x, y] = world(...at), wet = WET.includes(p.kind);
        out.push({ x, y, text: name(p), font: `${wet ? "italic " : ""}500 11px ${FACE}`, size: 11, color: wet ? g.ink.waterText : g.ink.soft, halo: g.ink.halo, rank });
      });
    },
    /* Roman numerals: the second cue beside colour. The largest piece of a cell carries it, once. */
    numerals(tiles, out) {
      const best = new Map();
      tiles.eachInView((f, world, scale) => {
        const entry = this.classOf(f.id);
        if (!entry || !entry.numeral || Math.sqrt(f.area) * scale < 24) return;
        const old = best.get(f.id);
        if (!old || old.area < f.area * scale * scale) best.set(f.id, { area: f.area * scale * scale, at: world(...f.middle), entry });
      });
      for (const [id, { at, entry, area }] of best) {
        const size = Math.max(9, Math.min(15, Math.sqrt(area) / 4.2));
        out.push({ x: at[0], y: at[1], text: entry.numeral, font: `600 ${size}px Georgia,"Noto Serif",serif`, size, color: entry.hatch ? g.ink.text : entry.ink, halo: entry.hatch ? g.ink.halo : undefined, rank: 8, id });
      }
    },
    /* A point has its name from zoom 16, an area where it is large enough to hold one. */
    featureNames(layer, tiles, zoom, once, out) {
      if (zoom < 12) return;
      tiles.eachInView((f, world, scale) => {
        const at = f.middle || (f.points && f.points[0]);
        const large = f.points ? zoom >= 16 && Number(f.properties.n || 1) === 1 : Math.sqrt(f.area || 0) * scale > 64;
        if (!at || !large || !name(f.properties) || !once(layer.id + f.id)) return;
        const [x, y] = world(...at);
        out.push({ x, y: y + (f.points ? 13 : 0), text: name(f.properties).slice(0, 22), font: `500 11px ${FACE}`, size: 11, color: g.ink.text, halo: g.ink.halo, rank: f.points ? 3 : 2 });
      });
    },
  });
})();
