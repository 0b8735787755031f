/* What each layer looks like, light and dark. Style objects are made once and kept: the tile layer draws by identity. */
(function () {
  "use strict";

  const DARK = geoapp.theme === "dark";
  const ink = DARK
    ? { land: "#1b232b", sea: "#0f1a24", water: "#16293a", built: "#222c35", green: "#1b2a25", minor: "#2b3742", main: "#3b4955",
        motor: "#5b5138", rail: "#35414c", county: "#dfe7ee", town: "#8b9aa8", community: "#4a5763", text: "#e8edf2", halo: "rgba(13,19,25,.9)",
        soft: "#9fb0be", cellLine: "rgba(255,255,255,.16)", chosen: "#ffffff", waterText: "#6f9cc0" }
    : { land: "#f6f4ef", sea: "#cfe1ec", water: "#bcd6e6", built: "#ebe7e0", green: "#e3ecd9", minor: "#ffffff", main: "#fffdf6",
        motor: "#f0cf9a", rail: "#b9bec2", county: "#25313b", town: "#5d6a75", community: "#a5afb7", text: "#1f2a33", halo: "rgba(255,255,255,.92)",
        soft: "#4d5a66", cellLine: "rgba(40,50,60,.20)", chosen: "#0b1a2b", waterText: "#3f7394" };

  const kept = new Map();
  /* One style object per key: the identity by which tiles batch their drawing. */
  function keep(key, make) {
    if (!kept.has(key)) kept.set(key, make());
    return kept.get(key);
  }

  const wide = (zoom, low, high) => Math.max(low, Math.min(high, low + (zoom - 10) * (high - low) / 6));

  function base({ properties }, zoom) {
    const kind = properties.kind;
    return keep(`base|${kind}|${zoom}`, () => {
      switch (kind) {
        case "sea": return { order: 0, fill: ink.sea };
        case "built_up": return { order: 1, fill: ink.built };
        case "green": return { order: 2, fill: ink.green };
        case "water": return { order: 3, fill: ink.water };
        case "river": return { order: 3, fill: ink.water, lines: [{ color: ink.water, width: wide(zoom, 1, 4) }] };
        case "railway": return { order: 5, lines: [{ color: ink.rail, width: wide(zoom, .8, 2), dash: [6, 3] }] };
        case "road": return zoom < 12 ? null : { order: 4, lines: [{ color: DARK ? "#0f151b" : "#dcd8d0", width: wide(zoom, 1, 6) }, { color: ink.minor, width: wide(zoom, .6, 4.4) }] };
        case "main_road": return { order: 6, lines: [{ color: DARK ? "#0f151b" : "#d5cfc2", width: wide(zoom, 1.6, 9) }, { color: ink.main, width: wide(zoom, 1, 7) }] };
        case "motorway": return { order: 7, lines: [{ color: DARK ? "#0f151b" : "#d8ae69", width: wide(zoom, 2.6, 11) }, { color: ink.motor, width: wide(zoom, 1.7, 9) }] };
        default: return null;
      }
    });
  }

  /* Land and borders. The county's area is the land colour under everything. */
  const land = () => keep("land", () => ({ fill: ink.land }));
  function unit({ properties }, zoom) {
    const level = properties.level;
    return keep(`unit|${level}|${zoom}`, () => {
      if (level === "county") return { order: 3, lines: [{ color: ink.county, width: 1.8 }] };
      if (level === "town") return { order: 2, lines: [{ color: DARK ? "rgba(0,0,0,.5)" : "rgba(255,255,255,.75)", width: 3 }, { color: ink.town, width: 1.2 }] };
      if (level === "community" && zoom >= 13) return { order: 1, lines: [{ color: ink.community, width: .9, dash: [5, 3] }] };
      return null;
    });
  }

  function noCell({ properties }) {
    const declared = properties.declared === true || properties.declared === 1;
    return keep(`no_cell|${declared}`, () => ({
      hatch: declared
        ? { color: DARK ? "#7d8894" : "#7b8791", background: DARK ? "rgba(60,70,80,.55)" : "rgba(230,232,234,.75)", pitch: 8, width: 1 }
        : { color: "#c2185b", background: DARK ? "rgba(194,24,91,.18)" : "rgba(255,235,243,.8)", pitch: 8, width: 1.6, cross: true },
      lines: [{ color: declared ? (DARK ? "#98a4af" : "#66727c") : "#c2185b", width: 1.4, dash: declared ? [4, 3] : [] }],
    }));
  }

  const levels = { red: "#9b1b1e", orange: "#e8743b", yellow: "#d9b100", blue: "#3d8fd1" };
  const line = (context, width, color) => { context.lineWidth = width; context.strokeStyle = color; context.stroke(); };

  function site({ properties }, zoom) {
    const n = Number(properties.n || 0);
    if (n > 1) return keep("site|n", () => ({ symbol(context, x, y, feature) {
      const count = Number(feature.properties.n), radius = Math.min(13, 3 + Math.sqrt(count));
      context.beginPath(); context.arc(x, y, radius, 0, 7);
      context.fillStyle = DARK ? "rgba(159,176,190,.35)" : "rgba(60,76,90,.28)"; context.fill();
      line(context, 1, DARK ? "#9fb0be" : "#4d5a66");
    } }));
    const level = properties.hazard_level || "none";
    return keep(`site|${level}|${zoom}`, () => {
      const radius = zoom < 13 ? 2 : zoom < 15 ? 3.2 : 4.6;
      return { order: level === "red" ? 3 : level === "orange" ? 2 : 1, symbol(context, x, y) {
        context.beginPath(); context.arc(x, y, radius, 0, 7);
        if (levels[level]) { context.fillStyle = levels[level]; context.fill(); line(context, 1, DARK ? "#0d1319" : "#fff"); }
        else { context.fillStyle = DARK ? "#1b232b" : "#fff"; context.fill(); line(context, 1.3, ink.soft); }
      } };
    });
  }

  const seen = DARK ? "#35c4a8" : "#0b7f6b", blind = DARK ? "#aeb9c3" : "#5b6670";
  /* Under the other lenses, points of the whole district would only cover the cells: they appear when zoomed in. */
  const crowded = (zoom) => zoom < 13 && document.documentElement.dataset.lens !== "coverage";

  camera.crowds = keyRiskArea.crowds = true;
  function camera({ properties }, zoom) {
    if (crowded(zoom)) return null;
    const state = properties.state === "observed" ? "observed" : "unobserved";
    return keep(`camera|${state}|${zoom}`, () => ({ order: state === "observed" ? 2 : 1, symbol(context, x, y, feature) {
      const color = state === "observed" ? seen : blind, small = zoom < 12;
      const azimuth = Number(feature.properties.azimuth_deg);
      if (!small && Number.isFinite(azimuth)) {
        const a = (azimuth - 90) * Math.PI / 180, r = zoom < 14 ? 9 : 13, half = .5;
        context.beginPath(); context.moveTo(x, y); context.arc(x, y, r, a - half, a + half); context.closePath();
        context.fillStyle = state === "observed" ? color + "88" : color + "33"; context.fill(); line(context, .8, color);
      }
      context.beginPath(); context.arc(x, y, small ? (state === "observed" ? 2.3 : 1.7) : zoom < 14 ? 3.4 : 4.6, 0, 7);
      // Hollow = nobody looks through it.
      context.fillStyle = state === "observed" ? color : (DARK ? "#11181f" : "#fff"); context.fill();
      line(context, small ? .8 : 1.5, state === "observed" ? (DARK ? "#0d1319" : "#fff") : color);
    } }));
  }

  function sector({ properties }) {
    const state = properties.state === "observed" ? "observed" : "unobserved";
    return keep(`sector|${state}`, () => (state === "observed"
      ? { order: 2, fill: seen + "40", lines: [{ color: seen, width: 1 }] }
      : { order: 1, hatch: { color: blind + "99", pitch: 8, width: 1 }, lines: [{ color: blind, width: .9, dash: [4, 3] }] }));
  }

  function keyRiskArea({ properties }, zoom) {
    if (crowded(zoom)) return null;
    const fraction = properties.seen_fraction;
    const under = fraction === undefined || fraction === null || Number(fraction) < .6;
    return keep(`kra|${under}|${Math.min(13, zoom)}`, () => {
      const color = under ? "#c2185b" : seen;
      return zoom < 13
        ? { order: under ? 2 : 1, symbol(context, x, y) {
            const r = zoom < 12 ? 2.4 : 3; context.beginPath(); context.rect(x - r, y - r, 2 * r, 2 * r);
            context.fillStyle = under ? (DARK ? "#1b232b" : "#fff") : color; context.fill(); line(context, 1.4, color);
          } }
        : { hatch: under ? { color: color + "bb", background: color + "1f", pitch: 8, width: 1.4 } : null,
            fill: under ? null : color + "55", lines: [{ color: DARK ? "#000" : "#fff", width: 3 }, { color, width: 1.8 }] };
    });
  }

  /* What lies over the colour of a cell: nobody answers for it (upright lines), its data are old, parts of them unknown. */
  const over = {
    duty_gap: { color: DARK ? "#05080bc8" : "#1b2127b4", pitch: 8, width: 1.2, upright: true },
    stale: { color: DARK ? "#0d131999" : "#ffffffb0", pitch: 8, width: 1.6 },
    unknown: { color: DARK ? "#0d131999" : "#ffffffb0", pitch: 8, width: 1.6, back: true },
    no_grid_worker: { color: DARK ? "#0d131999" : "#ffffffb0", pitch: 8, width: 1.6 },
  };

  /* Fills of the lens: one style per class, from the declared legend; `chosen` is drawn last with a thick line. unsure: a name in
     `over`, or "". */
  function lensStyle(lens, entry, zoom, chosen, unsure) {
    return keep(`lens|${lens}|${entry ? entry.value : "-"}|${Math.max(12, Math.min(15, zoom))}|${chosen}|${unsure}`, () => {
      const border = [{ color: ink.cellLine, width: zoom > 12 ? .9 : .45 }];
      if (chosen) border.push({ color: DARK ? "#000" : "#fff", width: 5 }, { color: ink.chosen, width: 2.6 });
      if (!entry) return { order: chosen ? 9 : 0, lines: border };
      // A class without a colour of which something is not known is no calm ground.
      if (entry.unknown || (!entry.color && unsure === "unknown")) return { order: chosen ? 9 : 0, lines: border, hatch: { color: DARK ? "rgba(160,175,190,.36)" : "rgba(80,95,110,.34)", pitch: 16, width: 1.2 } };
      if (!entry.color) return { order: chosen ? 9 : 0, fill: DARK ? "rgba(120,135,150,.08)" : "rgba(110,120,130,.07)", lines: border };
      const style = { order: chosen ? 9 : 1, lines: border };
      if (entry.hatch) style.hatch = { color: entry.color, background: entry.color + (DARK ? "30" : "24"), pitch: 8, width: 1.7, ...entry.hatch };
      else style.fill = entry.color + (zoom >= 15 ? "80" : zoom >= 14 ? "a8" : DARK ? "c4" : "c8");
      if (unsure && !entry.hatch) style.hatch = over[unsure] || over.unknown;
      return style;
    });
  }

  Object.assign(geoapp, { ink, symbols: { ground: base, land, border: unit, noCell, site, camera, sector, keyRiskArea, lensStyle, levels } });
})();
