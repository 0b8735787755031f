/* The page of coverage: the curve of onboarding and the small map of the next cameras, drawn once their part is there. */
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const shape = (name, attributes, text) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const nice = (most) => { const unit = 10 ** Math.floor(Math.log10(most)); return [1, 2, 5, 10].map((k) => k * unit).find((k) => most / k <= 5) || unit; };

  /* Days across the whole year, areas upwards. `due` is null on days without a target: no line there, not 0. */
  function curve(box) {
    const { days, joined, due, target } = JSON.parse(box.dataset.curve), words = JSON.parse(box.dataset.words);
    const width = Math.max(box.clientWidth - 2, 280), height = 240, left = 40, right = 14, top = 30, bottom = 24;
    const first = Date.parse(`${days[0]}T00:00Z`), year = new Date(first).getUTCFullYear();
    const length = (Date.UTC(year + 1, 0, 1) - first) / 864e5;
    const most = Math.max(1, target || 0, ...joined, ...due.map((v) => v || 0)) * 1.06;
    const x = (n) => left + (width - left - right) * n / length, y = (v) => height - bottom - (height - top - bottom) * v / most;
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" });
    for (let v = 0, step = Math.max(1, nice(most)); v <= most; v += step) {
      svg.append(shape("line", { x1: left, x2: width - right, y1: y(v), y2: y(v), class: "grid" }), shape("text", { x: left - 6, y: y(v) + 4, class: "tick end" }, String(v)));
    }
    for (let month = 0; month < 12; month++) {
      const at = (Date.UTC(year, month, 1) - first) / 864e5;
      svg.append(shape("line", { x1: x(at), x2: x(at), y1: height - bottom, y2: height - bottom + 4, class: "grid" }));
      if (width > 520 || month % 2 === 0) svg.append(shape("text", { x: x(at + 15), y: height - 7, class: "tick" }, String(month + 1)));
    }
    const step = joined.map((v, n) => `${n ? `H${x(n)}` : `M${x(0)}`}${n ? `V${y(v)}` : ` ${y(v)}`}`).join("") + `H${x(joined.length)}`;
    svg.append(shape("path", { d: `${step}V${y(0)}H${x(0)}Z`, class: "joined-area" }), shape("path", { d: step, class: "joined" }));
    const pace = due.map((v, n) => (v === null ? "" : `${n && due[n - 1] !== null ? "L" : "M"}${x(n + 1)} ${y(v)}`)).join("");
    if (pace) svg.append(shape("path", { d: pace, class: "due" }));
    if (target !== null) svg.append(shape("line", { x1: x(0), x2: width - right, y1: y(target), y2: y(target), class: "target" }));
    let at = left;
    for (const name of target === null ? ["joined"] : ["joined", "due", "target"]) {
      svg.append(shape("line", { x1: at, x2: at + 20, y1: 13, y2: 13, class: name }));
      const label = shape("text", { x: at + 26, y: 17, class: "key" }, words[name]);
      svg.append(label);
      at += 44 + [...words[name]].reduce((sum, letter) => sum + (letter > "\u2e80" ? 12.5 : 6.6), 0);
    }
    box.replaceChildren(svg);
  }

  function smallMap(box) {
    const places = JSON.parse(box.dataset.places), s = window.geoapp.symbols;
    const map = L.map(box, { attributionControl: false, zoomSnap: .5, scrollWheelZoom: false });
    const panes = { land: 201, base: 205, unit: 240, camera_sector: 244, key_risk_area: 250, camera: 270 };
    for (const [name, order] of Object.entries(panes)) {
      const pane = map.createPane(`geo-${name}`);
      pane.style.zIndex = order; pane.style.pointerEvents = "none";
    }
    const make = (id, style, more = {}) => new L.CanvasTiles({ url: `/tiles/${id}/{z}/{x}/{y}.mvt`, layerName: id, style, ...more, pane: `geo-${more.pane || id}` });
    const ground = L.geoJSON({ type: "FeatureCollection", features: places.features.filter((f) => f.properties.part === "ground") }, { className: "next-ground", interactive: false });
    const bounds = ground.getBounds();
    const marks = new Map();
    for (const { geometry, properties: p } of places.features) {
      if (p.part !== "place") continue;
      const [lon, lat] = geometry.coordinates;
      bounds.extend([lat, lon]);
      const mark = L.marker([lat, lon], { keyboard: true, title: String(p.place_no), icon: L.divIcon({ className: "next-mark", html: `<b>${p.place_no}</b>`, iconSize: [24, 24] }) });
      mark.on("click", () => choose(p.place_no));
      marks.set(String(p.place_no), mark);
    }
    map.fitBounds(bounds, { padding: [28, 28], maxZoom: 17, animate: false });
    for (const layer of [make("unit", (f) => (f.properties.level === "county" ? s.land() : null), { pane: "land" }), make("base", s.ground), make("unit", s.border),
      make("camera_sector", (f, zoom) => (zoom >= 13 ? s.sector(f) : null), { minZoom: 13 }), make("key_risk_area", s.keyRiskArea), make("camera", s.camera), ground]) layer.addTo(map);
    for (const mark of marks.values()) mark.addTo(map);
    L.control.scale({ imperial: false }).addTo(map);
    const list = box.parentElement;
    function choose(number) {
      for (const line of list.querySelectorAll("[data-place]")) line.classList.toggle("chosen", line.dataset.place === String(number));
      for (const [key, mark] of marks) mark.getElement()?.classList.toggle("chosen", key === String(number));
      map.setView(marks.get(String(number)).getLatLng(), Math.max(map.getZoom(), 17), { animate: false });
      list.querySelector(`[data-place="${number}"]`)?.scrollIntoView({ block: "nearest" });
    }
    list.addEventListener("click", (event) => { const line = event.target.closest("[data-place]"); if (line && !event.target.closest("a")) choose(line.dataset.place); });
    new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(box);
  }

  let arrived = false;
  function draw() {
    for (const box of document.querySelectorAll(".coverage-curve[data-curve]")) {
      if (box.firstChild) continue;
      curve(box);
      let width = box.clientWidth;
      new ResizeObserver(() => { if (Math.abs(box.clientWidth - width) > 4) { width = box.clientWidth; curve(box); } }).observe(box);
    }
    for (const box of document.querySelectorAll(".coverage-map[data-places]")) if (!box.classList.contains("leaflet-container")) smallMap(box);
    // A part that the address names is there only now.
    const part = location.hash && document.getElementById(location.hash.slice(1));
    if (part && !arrived && part.querySelector("h2") && !document.querySelector(".coverage-part > .empty:only-child")) { arrived = true; part.scrollIntoView(); }
  }

  window.dash_clientside.geoapp.coverageDrawn = () => { requestAnimationFrame(() => requestAnimationFrame(draw)); return window.dash_clientside.no_update; };
})();
