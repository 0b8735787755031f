/* The city map: which layers are drawn, how the lens colours the cells, what a click means, what the address says. */
(function () {
  "use strict";

  const g = window.geoapp;
  const $ = (id) => document.getElementById(id);
  const tell = (id, data) => window.dash_clientside.set_props(id, { data });
  const SHAPES = { fire: "M12.200 1.500c.9 3.700-1.600 5.500-3.400 7.900C7.400 11.200 6 13 6 15.600a6 6 0 0 0 12 0c0-2.900-1.400-5.100-3-7-.2 1.700-.9 2.800-2 3.300.7-3.400.1-7.300-.8-10.400z",
    smoke: "M7 18a4 4 0 0 1-.5-8A5.500 5.500 0 0 1 17 8.500 4.800 4.800 0 0 1 16.500 18z",
    welding_arc: "M13 2 5 14h5l-1 8 8-12h-5z", sparks: "M12 3v6M12 15v6M3 12h6M15 12h6M6 6l3.500 3.500M14.500 14.500 18 18M18 6l-3.500 3.500M9.500 14.500 6 18" };
  g.icon = (kind) => `<svg viewBox="0 0 24 24" aria-hidden="true" class="glyph ${kind}"><path d="${SHAPES[kind] || SHAPES.fire}"/></svg>`;

  /* GB/T-like writing of a cell code: 12 digits community, kind, sequence, micro. */
  g.cellCode = (code) => code && code.length === 18 ? `${code.slice(6, 12)}-${code[12]}-${code.slice(13, 16)}-${code.slice(16)}` : code;

  const Grid = { classes: new Uint8Array(0), byValue: [], scores: {}, lens: "risk", unsure: new Set() };

  const UNKNOWN = { value: "unknown", unknown: true };

  const CityMap = L.LayerGroup.extend({
    initialize(config) {
      L.LayerGroup.prototype.initialize.call(this);
      this.config = config;
      this.texts = config.texts;
      this.state = { ...config.state };
      this.on_ = new Set(config.state.layers);
      this.markers = new Map();
      this.incidents = [];
      g.city = this;
    },

    onAdd(map) {
      this.map = map;
      const panes = { base: 205, land: 201, cell: 220, no_cell: 225, unit: 240, camera_sector: 244, key_risk_area: 250, site: 260, camera: 270, names: 290 };
      for (const [name, order] of Object.entries(panes)) {
        const pane = map.createPane(`geo-${name}`);
        pane.style.zIndex = order;
        pane.style.pointerEvents = "none";
      }
      map.createPane("geo-incident").style.zIndex = 620;
      const given = Boolean(this.state.z);
      if (!given) map.fitBounds(this.config.bounds, { padding: [12, 12], animate: false });
      const s = g.symbols;
      const make = (id, style, more = {}) => new L.CanvasTiles({ url: `/tiles/${id}/{z}/{x}/{y}.mvt`, layerName: id, style, ...more, pane: `geo-${more.pane || id}` })
        .on("decoded", () => this.labels && this.labels.drawSoon())
        .on("datafailed", () => this.failed());
      this.tiles = {
        base: make("base", s.base),
        land: make("unit", (f) => (f.properties.level === "county" ? s.land() : null), { pane: "land" }),
        cell: make("cell", (f, zoom) => s.lensStyle(Grid.lens, this.classOf(f.id) || this.unknown(), zoom, this.isChosen("cell", f.properties.code), Grid.unsure.has(f.id)), { pickable: true }),
        no_cell: make("no_cell", s.noCell, { pickable: true }),
        unit: make("unit", s.unit),
        unit_label: make("unit_label", () => null, { drawn: false, pane: "names" }),
        camera_sector: make("camera_sector", (f, zoom) => (zoom >= 13 ? s.sector(f) : null), { minZoom: 13 }),
        key_risk_area: make("key_risk_area", s.keyRiskArea, { pickable: true }),
        site: make("site", s.site, { pickable: true, minZoom: 11 }),
        camera: make("camera", s.camera, { pickable: true }),
      };
      this.labels = new L.LabelCanvas(() => this.names(), { pane: "geo-names" });
      // Before the tiles: a browser asks six things at a time, and a map has a hundred tiles.
      this.lens(this.state.lens);
      this.refreshIncidents(false);
      for (const id of ["land", "base", "cell", "unit_label"]) this.tiles[id].addTo(map);
      for (const id of this.config.toggles) this.show(id, this.on_.has(id));
      this.labels.addTo(map);

      map.on("click", (event) => this.click(event));
      map.on("mousemove", L.Util.throttle((event) => this.hover(event), 60, this));
      map.on("mouseout", () => this.hover(null));
      map.on("moveend", () => {
        const middle = map.getCenter();
        this.state.lat = middle.lat.toFixed(5); this.state.lon = middle.lng.toFixed(5); this.state.z = map.getZoom();
        this.write();
      });
      setInterval(() => g.byItself(() => this.refreshIncidents(false)), 60000);
      setInterval(() => g.byItself(() => this.lens(Grid.lens)), 60000);
      if (this.state.selected) this.select(...this.state.selected.split(":"), { fly: !given });
      new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(map.getContainer());
      g.ready = true;
      document.documentElement.dataset.map = "ready";
    },

    /* --- the lens: one class per cell, swapped without fetching a tile ------------------------------------------- */
    async lens(name) {
      const changed = name !== Grid.lens;
      try {
        const answer = await fetch(`/lens/${name}.json`);
        if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
        const body = await answer.json();
        this.state.lens = name; Grid.lens = name;
        Grid.byValue = this.config.lenses[name];
        const index = new Map(Grid.byValue.map((entry, i) => [String(entry.value), i + 1]));
        const numbers = Object.keys(body.classes).map(Number);
        const classes = new Uint8Array(numbers.reduce((a, b) => Math.max(a, b), 0) + 1);
        for (const number of numbers) classes[number] = index.get(String(body.classes[number])) || 0;
        Grid.classes = classes; Grid.scores = body.scores || {};
        Grid.unsure = new Set(Object.entries(body.hatched || {}).filter(([, why]) => why !== "duty_gap").map(([number]) => Number(number)));
        document.documentElement.dataset.lens = name;
        const started = performance.now();
        this.tiles.cell.restyle();
        this.restyled = performance.now() - started;
        this.labels.draw();
        if (changed) { this.tiles.camera.restyle(); this.tiles.key_risk_area.restyle(); }
        tell("lens-counts", { lens: name, counts: body.counts, as_of: body.as_of });
      } catch (fault) { this.failed(); console.warn("lens", fault); }
      if (changed) this.write();
    },
    /* A cell of which the lens says nothing (a firm sees its own sites, not the cell): hatched, never calm. */
    unknown() { return Grid.byValue.length ? UNKNOWN : null; },
    classOf(id) { return Grid.byValue[(Grid.classes[id] || 0) - 1] || null; },

    show(id, on) {
      if (on) this.on_.add(id); else this.on_.delete(id);
      if (id === "incident") { for (const marker of this.markers.values()) on ? marker.addTo(this.map) : marker.remove(); return; }
      if (id === "camera") this.show("camera_sector", on);
      const layer = this.tiles[id];
      if (!layer) return;
      if (on && !this.map.hasLayer(layer)) layer.addTo(this.map);
      if (!on && this.map.hasLayer(layer)) layer.remove();
    },
    layers(ids) {
      for (const id of this.config.toggles) this.show(id, ids.includes(id));
      this.state.layers = ids;
      this.labels.drawSoon();
      this.write();
    },

    /* --- names ------------------------------------------------------------------------------------------------- */
    names() {
      const zoom = this.map.getZoom(), out = [], zh = g.lang === "zh", ink = g.ink;
      const face = '"Noto Sans CJK SC","Source Han Sans SC","Microsoft YaHei","PingFang SC",system-ui,sans-serif';
      const name = (p) => (zh ? p.name_zh : p.name_en || p.name_zh) || "";
      const seen = new Set();
      const once = (key) => !seen.has(key) && seen.add(key);
      this.tiles.unit_label.eachInView(({ properties: p, points }, world) => {
        const town = p.level === "town";
        if (!points || p.level === "county" || (!town && zoom < 13.5) || !once(`u${p.code}`)) return;
        const size = town ? (zoom < 12 ? 14 : 16) : 11.5;
        const [x, y] = world(...points[0]);
        out.push({ x, y: y - (town && zoom > 11 ? 4 : 0), text: name(p), font: `${town ? 700 : 500} ${size}px ${face}`, size, color: town ? ink.text : ink.soft, halo: ink.halo, rank: town ? 0 : 4 });
      });
      if (zoom >= 12) this.tiles.base.eachInView(({ properties: p, middle, points }, world, scale, extent) => {
        const at = middle || (points && points[0]);
        const rank = { sea: 3, motorway: 5, main_road: 6, water: 5, river: 6 }[p.kind];
        if (!at || !rank || !name(p) || at[0] < 0 || at[1] < 0 || at[0] > extent || at[1] > extent || !once(`b${name(p)}`)) return;
        const [x, y] = world(...at), wet = ["sea", "water", "river"].includes(p.kind);
        out.push({ x, y, text: name(p), font: `${wet ? "italic " : ""}500 11px ${face}`, size: 11, color: wet ? ink.waterText : ink.soft, halo: ink.halo, rank });
      });
      // Roman numerals: the second cue beside colour. The largest piece of a cell carries it, once.
      const best = new Map();
      this.tiles.cell.eachInView((f, world, scale) => {
        const entry = this.classOf(f.id);
        if (!entry || !entry.numeral || Math.sqrt(f.area) * scale < 24) return;
        const old = best.get(f.id);
        if (!old || old.area < f.area * scale * scale) best.set(f.id, { area: f.area * scale * scale, at: world(...f.middle), entry });
      });
      for (const [id, { at, entry, area }] of best) {
        const size = Math.max(9, Math.min(15, Math.sqrt(area) / 4.2));
        out.push({ x: at[0], y: at[1], text: entry.numeral, font: `600 ${size}px Georgia,"Noto Serif",serif`, size, color: entry.ink, rank: 8, id });
      }
      const named = (layer, id, least, rank) => {
        if (!this.on_.has(id) || zoom < least) return;
        layer.eachInView((f, world, scale) => {
          const at = f.middle || (f.points && f.points[0]);
          if (!at || !name(f.properties) || !once(id + f.id)) return;
          const [x, y] = world(...at);
          out.push({ x, y: y + (f.points ? 13 : 0), text: name(f.properties).slice(0, 22), font: `500 11px ${face}`, size: 11, color: ink.text, halo: ink.halo, rank });
        });
      };
      named(this.tiles.key_risk_area, "key_risk_area", 16.5, 1);
      named(this.tiles.no_cell, "no_cell", 12, 2);
      named(this.tiles.site, "site", 16, 3);
      return out;
    },

    /* --- pointing and choosing ----------------------------------------------------------------------------------- */
    pick(latlng) {
      for (const id of ["camera", "site", "key_risk_area", "no_cell", "cell"]) {
        const layer = this.tiles[id];
        if (!this.map.hasLayer(layer)) continue;
        const feature = layer.pick(latlng);
        if (feature && !(id === "site" && Number(feature.properties.n || 0) > 1)) return { kind: id, feature };
      }
      return null;
    },
    click(event) {
      const found = this.pick(event.latlng);
      if (!found) { this.select(null); return; }
      const { kind, feature } = found;
      this.select(kind, kind === "cell" ? feature.properties.code : feature.id, { fly: false });
    },
    hover(event) {
      const card = $("hover-card");
      if (!card) return;
      const found = event && this.pick(event.latlng);
      this.map.getContainer().style.cursor = found ? "pointer" : "";
      if (!found) { card.hidden = true; return; }
      const { kind, feature } = found, p = feature.properties, zh = g.lang === "zh";
      let title = (zh ? p.name_zh : p.name_en || p.name_zh) || `${this.texts[kind]} ${p.code || ""}`, note = "";
      if (kind === "cell") {
        const entry = this.classOf(feature.id), score = Grid.scores[feature.id];
        title = `${this.texts.cell} ${g.cellCode(p.code)}`;
        note = entry ? (zh ? entry.zh : entry.en) : this.texts.unknown_class;
        if (score !== undefined && score !== null && Grid.lens !== "coverage") note += ` · ${Number(score).toFixed(Grid.lens === "risk" ? 1 : 2)}`;
      } else if (kind === "camera") note = p.state === "observed" ? this.texts.observed : `${this.texts.unobserved}${p.reason ? ` · ${this.texts["reason." + p.reason] || p.reason}` : ""}`;
      else if (kind === "key_risk_area") note = p.seen_fraction === undefined || p.seen_fraction === null ? this.texts.seen_unknown : `${this.texts.seen} ${Math.round(100 * Number(p.seen_fraction))} %`;
      card.querySelector("b").textContent = title;
      card.querySelector("span").textContent = note;
      card.style.transform = `translate(${event.containerPoint.x + 14}px, ${event.containerPoint.y + 14}px)`;
      card.hidden = false;
    },
    isChosen(kind, id) { return this.state.selected === `${kind}:${id}`; },

    select(kind, id, { fly = true } = {}) {
      this.state.selected = kind ? `${kind}:${id}` : "";
      tell("selection", kind ? { kind, id: String(id), fly } : null);
      this.tiles.cell.restyle();
      for (const [key, marker] of this.markers) marker.getElement()?.classList.toggle("chosen", kind === "incident" && key === String(id));
      this.ellipse(kind === "incident" ? this.incidents.find((f) => String(f.properties.id || f.id) === String(id)) : null);
      this.write();
    },
    fly(lat, lon, zoom) { this.map.setView([lat, lon], Math.max(this.map.getZoom(), zoom || 15), { animate: !matchMedia("(prefers-reduced-motion: reduce)").matches }); },
    flyBounds(box) { this.map.fitBounds([[box[1], box[0]], [box[3], box[2]]], { padding: [24, 24] }); },

    /* --- incidents --------------------------------------------------------------------------------------------- */
    async refreshIncidents(pulse) {
      try {
        const answer = await fetch("/features/incident.geojson", { cache: "no-cache" });
        if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
        this.incidents = (await answer.json()).features;
      } catch (fault) { this.failed(); console.warn("incidents", fault); return; }
      const keep = new Set();
      for (const feature of this.incidents) {
        const p = feature.properties, id = String(p.id || feature.id);
        keep.add(id);
        const [lon, lat] = feature.geometry.coordinates;
        const look = `incident-mark ${p.class} ${p.state} review-${p.review}`;
        let marker = this.markers.get(id);
        if (!marker) {
          marker = L.marker([lat, lon], { pane: "geo-incident", keyboard: true, riseOnHover: true, zIndexOffset: p.state === "open" ? 500 : 0,
            title: `${this.texts["class." + p.class] || p.class} #${p.incident_no}`, icon: L.divIcon({ className: look, html: `<i></i>${g.icon(p.class)}`, iconSize: [30, 30] }) });
          marker.on("click", (event) => { L.DomEvent.stopPropagation(event); this.select("incident", id, { fly: false }); });
          this.markers.set(id, marker);
          if (this.on_.has("incident")) marker.addTo(this.map);
          if (pulse && p.state === "open") this.pulse(marker);
        } else if (marker.look !== look) { marker.setIcon(L.divIcon({ className: look, html: `<i></i>${g.icon(p.class)}`, iconSize: [30, 30] })); marker.setLatLng([lat, lon]); }
        marker.look = look;
        marker.getElement()?.classList.toggle("chosen", this.isChosen("incident", id));
      }
      for (const [id, marker] of this.markers) if (!keep.has(id)) { marker.remove(); this.markers.delete(id); }
    },
    pulse(marker) {
      const element = marker.getElement();
      if (!element) return;
      element.classList.add("new");
      setTimeout(() => element.classList.remove("new"), 12000);
    },
    /* The 95 % ellipse: semi-axes in metres, rotation in degrees clockwise from north (the grid's, close enough to draw). */
    ellipse(feature) {
      if (this.ring) { this.ring.remove(); this.ring = null; }
      if (!feature || !feature.properties.semi_major_m) return;
      const { semi_major_m: a, semi_minor_m: b, rotation_deg: turn } = feature.properties;
      const [lon, lat] = feature.geometry.coordinates, t = (turn || 0) * Math.PI / 180;
      const points = [];
      for (let i = 0; i < 48; i++) {
        const along = a * Math.cos(i * Math.PI / 24), across = (b || a) * Math.sin(i * Math.PI / 24);
        const east = along * Math.sin(t) + across * Math.cos(t), north = along * Math.cos(t) - across * Math.sin(t);
        points.push([lat + north / 111320, lon + east / (111320 * Math.cos(lat * Math.PI / 180))]);
      }
      this.ring = L.polygon(points, { color: "#c2185b", weight: 1.6, dashArray: "5 4", fillOpacity: .12, interactive: false }).addTo(this.map);
    },

    /* --- the address is the state ------------------------------------------------------------------------------- */
    write() {
      clearTimeout(this.writing);
      this.writing = setTimeout(() => {
        const query = new URLSearchParams(location.search), s = this.state;
        query.set("lang", g.lang);
        for (const key of ["lens", "z", "lat", "lon", "selected"]) s[key] ? query.set(key, s[key]) : query.delete(key);
        query.set("layers", s.layers.join("."));
        history.replaceState(history.state, "", `${location.pathname}?${query.toString().replaceAll("%3A", ":")}`);
      }, 300);
    },
    failed() { g.live && g.live.doubt(); },
    /* After the server was away: fetch what is missing, and everything that may have changed. */
    recovered() {
      for (const layer of Object.values(this.tiles)) layer.reload(false);
      this.lens(Grid.lens);
      this.refreshIncidents(true);
    },
    stats() {
      const out = {};
      for (const [id, layer] of Object.entries(this.tiles)) out[id] = { ...layer.stats };
      return { layers: out, restyle_ms: this.restyled, labels: this.labels.drawn, lens: Grid.lens };
    },
  });

  window.geoappMap = { city: { mount: (feature, latlng, context) => new CityMap(context.hideout) } };
})();
