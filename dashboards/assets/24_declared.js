/* The look of a layer from its declaration alone (layers/declaration.py): classing, class, style, hatch. What has a drawing of
   its own names it as style.symbol (20_symbols.js), which holds for the usual classing; any other classing is painted here. */
(function () {
  "use strict";

  const g = window.geoapp;
  const DARK = g.theme === "dark";
  const OUTLINE = DARK ? "#0d1319" : "#ffffff";
  const GREY = DARK ? "#8b98a4" : "#76828d";
  const UNKNOWN = { value: "", color: GREY, hatch: { back: true } };

  /* Relative luminance of #rrggbb (WCAG 2). */
  function luminance(color) {
    const [r, g_, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16) / 255).map((c) => (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4));
    return .2126 * r + .7152 * g_ + .0722 * b;
  }
  /* A colour that stands out from a dark ground: lightened until it does. */
  function lit(color, least) {
    const parts = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16));
    let made = color;
    for (let step = 1; step <= 10 && luminance(made) < least; step++) made = `#${parts.map((c) => Math.round(c + (255 - c) * step / 12).toString(16).padStart(2, "0")).join("")}`;
    return made;
  }
  /* Declared colours are for a light ground. On a dark one a ramp runs the other way, so that "much" stays what stands out, and any
     other colour is lit. Done once: map, legend and chips show the same. */
  g.themed = function (layer) {
    if (!DARK || layer.lens) return layer;
    if (layer.scale) layer.scale = [...layer.scale].reverse().map(({ color }) => { const made = lit(color, .04); return { color: made, ink: luminance(made) > .18 ? "#1d1405" : "#ffffff" }; });
    for (const classing of layer.classings) {
      const plain = classing.classes.filter((entry) => !entry.hatch), colours = plain.map((entry) => entry.color).reverse();
      if (classing.ramp) plain.forEach((entry, i) => { entry.color = colours[i]; });
      for (const entry of classing.classes) { entry.color = lit(entry.color, classing.ramp ? .04 : .14); entry.ink = luminance(entry.color) > .18 ? "#1d1405" : "#ffffff"; }
    }
    return layer;
  };

  const hex = (share) => Math.round(255 * Math.max(0, Math.min(1, share))).toString(16).padStart(2, "0");

  /* The class of a feature: the one that its property names, else the one that the classing keeps for "empty". Nothing that is
     not known to the legend may look like a class of it. */
  function classed(classing) {
    const byValue = new Map(classing.classes.map((entry) => [entry.value, entry]));
    const empty = byValue.get(classing.empty) || UNKNOWN;
    return ({ properties }) => {
      const value = properties[classing.field];
      return value === undefined || value === null ? empty : byValue.get(String(value)) || empty;
    };
  }

  function point(layer, entry, zoom, chosen) {
    const shrink = zoom < 11 ? .55 : zoom < 13 ? .75 : 1, radius = Math.max(1.6, layer.style.radius_px * shrink);
    return { order: chosen ? 99 : entry.order || 1, symbol(context, x, y, { properties }) {
      const n = Number(properties.n || 1), r = n > 1 ? Math.min(15, radius + Math.sqrt(n)) : radius;
      context.beginPath(); context.arc(x, y, r, 0, 7);
      context.fillStyle = entry.hatch ? g.hatch(context, { color: entry.color, background: OUTLINE, pitch: 4, width: 1.2, ...entry.hatch }, 1, 1) : entry.color + (n > 1 ? "aa" : "");
      context.fill();
      context.lineWidth = chosen ? 3 : 1; context.strokeStyle = chosen ? g.ink.chosen : entry.hatch ? entry.color : OUTLINE; context.stroke();
    } };
  }

  /* ramp: a surface over all ground; what it does not know is hatched widely, since it is much. */
  function shape(layer, entry, zoom, chosen, ramp) {
    const { paint, fill_opacity: opacity, line_px: width, dash } = layer.style;
    const border = { color: entry.color, width, dash: dash || [] };
    const lines = width > 0 ? [border] : [];
    if (chosen) lines.push({ color: OUTLINE, width: width + 4 }, { color: g.ink.chosen, width: width + 1.6 });
    const style = { order: chosen ? 99 : entry.order || 1, lines };
    if (paint === "line" || layer.geometry === "line") return style;
    if (entry.hatch && ramp) style.hatch = { color: GREY + "90", pitch: 16, width: 1.1, ...entry.hatch };
    else if (entry.hatch) style.hatch = { color: entry.color, background: entry.color + hex(opacity * .3), pitch: 8, width: 1.6, ...entry.hatch };
    else style.fill = entry.color + hex(ramp ? Math.max(opacity, .82) : DARK ? Math.min(1, opacity * 1.15) : opacity);
    return style;
  }

  /* style(feature, zoom) for a layer; `shown()` gives its classing of now, `isChosen(feature)` whether it is selected. Style
     objects are kept: tiles batch their drawing by identity. */
  g.styleOf = function (layer, shown, isChosen) {
    const kept = new Map();
    let classing = null, classOf = null;
    return (feature, zoom) => {
      const now = shown();
      if (now !== classing) { classing = now; classOf = now ? classed(now) : () => ({ value: "-", color: GREY }); kept.clear(); }
      if (now && zoom < now.from_zoom) return null;
      const own = layer.style.symbol && (!now || now === layer.classings[0]) ? g.symbols[layer.style.symbol] : null;
      const chosen = isChosen(feature);
      if (own && !chosen) return own(feature, zoom);
      if (own) return ringed(own(feature, zoom));
      const entry = classOf(feature), dot = feature.type === 1, key = `${entry.value}|${Math.min(15, zoom)}|${chosen}|${dot}`;
      if (!kept.has(key)) kept.set(key, dot ? point(layer, entry, zoom, chosen) : shape(layer, entry, zoom, chosen, now && now.ramp));
      return kept.get(key);
    };
  };

  /* A drawing of its own, chosen: the same with a ring or a thick border. */
  function ringed(style) {
    if (!style) return null;
    if (!style.symbol) return { ...style, order: 99, lines: [...(style.lines || []), { color: OUTLINE, width: 5 }, { color: g.ink.chosen, width: 2.6 }] };
    return { order: 99, symbol(context, x, y, feature, zoom) {
      style.symbol(context, x, y, feature, zoom);
      context.beginPath(); context.arc(x, y, 8, 0, 7); context.lineWidth = 2.4; context.strokeStyle = g.ink.chosen; context.stroke();
    } };
  }

  g.classOf = (classing) => classed(classing);

  /* A sample of a class for legend and panel. */
  g.chip = function (layer, entry) {
    const chip = document.createElement("i");
    const kind = layer.geometry === "point" ? " spot" : layer.style.paint === "line" || layer.geometry === "line" ? " stroke" : "";
    const [hatch] = entry.hatch ? [...Object.keys(entry.hatch), "slash"] : [""];
    chip.className = `chip${hatch ? ` hatched ${hatch}` : ""}${kind}${entry.color ? "" : " void"}`;
    chip.style.setProperty("--chip", entry.color || "transparent");
    if (entry.ink) chip.style.color = entry.ink;
    if (!kind) chip.textContent = entry.numeral || "";
    chip.setAttribute("aria-hidden", "true");
    return chip;
  };
})();
