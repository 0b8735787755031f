/* The city map: it draws whatever layers are declared to it (dashboards/map_layers.py), colours the cells by the lens, and keeps
   the address. Naming, pointing, incidents, legend and the past are in the files after this one. */
(function () {
  "use strict";

  const g = window.geoapp;
  const tell = g.tell = (id, data) => window.dash_clientside.set_props(id, { data });

  /* GB/T-like writing of a cell code: 12 digits community, kind, sequence, micro. */
  g.cellCode = (code) => code && code.length === 18 ? `${code.slice(6, 12)}-${code[12]}-${code.slice(13, 16)}-${code.slice(16)}` : code;

  const Grid = g.grid = { classes: new Uint8Array(0), byValue: [], scores: {}, lens: "risk", by: "", unsure: new Map(), unknown: true };
  const UNKNOWN = { value: "unknown", unknown: true };

  const CityMap = g.CityMap = L.LayerGroup.extend({
    initialize(config) {
      L.LayerGroup.prototype.initialize.call(this);
      this.config = config;
      this.texts = config.texts;
      this.state = { ...config.state };
      this.past = config.past;
      this.declared = new Map(config.layers.map((layer) => [layer.id, g.themed(layer)]));
      this.on_ = new Set(config.state.layers);
      this.covered = false;
      this.markers = new Map();
      this.incidents = [];
      g.city = this;
    },

    onAdd(map) {
      this.map = map;
      document.body.classList.toggle("past-day", Boolean(this.past.day));
      const pane = (name, order) => {
        const made = map.createPane(`geo-${name}`);
        made.style.zIndex = order;
        made.style.pointerEvents = "none";
        return made;
      };
      pane("land", 200);
      pane("names", 399);
      const given = Boolean(this.state.z);
      if (!given) map.fitBounds(this.config.bounds, { padding: [12, 12], animate: false });
      this.tiles = {};
      this.config.layers.forEach((layer, place) => {
        if (layer.kind !== "tiles") { map.createPane(`geo-${layer.id}`).style.zIndex = 620; return; }
        if (layer.paint !== "name") pane(layer.id, 201 + place);
        this.tiles[layer.id] = this.made(layer);
        // The district's ground lies under everything; it is in the same tiles as its border.
        if (layer.style.symbol === "border") this.tiles.land = this.made(layer, { style: ({ properties }) => (properties.level === "county" ? g.symbols.land() : null), pane: "geo-land", pickable: false });
      });
      this.labels = new L.LabelCanvas(() => this.names(), { pane: "geo-names" });
      // Before the tiles: a browser asks six things at a time, and a map has a hundred tiles.
      this.lens(this.state.lens);
      this.refreshIncidents(false);
      if (this.tiles.land) this.tiles.land.addTo(map);
      this.labels.addTo(map);
      this.showAll();

      map.on("click", (event) => this.click(event));
      map.on("mousemove", L.Util.throttle((event) => this.hover(event), 60, this));
      map.on("mouseout", () => this.hover(null));
      map.on("moveend", () => {
        const middle = map.getCenter();
        this.state.lat = middle.lat.toFixed(5); this.state.lon = middle.lng.toFixed(5); this.state.z = map.getZoom();
        this.heats();
        this.write();
      });
      setInterval(() => g.byItself(() => this.refreshIncidents(false)), 60000);
      setInterval(() => g.byItself(() => { if (!this.past.day) this.lens(Grid.lens); }), 60000);
      if (this.state.selected) { const [kind, ...id] = this.state.selected.split(":"); this.select(kind, id.join(":"), { fly: !given }); }
      new ResizeObserver(() => map.invalidateSize({ pan: false })).observe(map.getContainer());
      g.ready = true;
      document.documentElement.dataset.map = "ready";
    },

    made(layer, more = {}) {
      const style = layer.lens
        ? (f, zoom) => (this.covered ? g.symbols.lensStyle(Grid.lens, null, zoom, this.isChosen(layer, f), "")
          : g.symbols.lensStyle(Grid.lens, this.classOf(f.id) || this.unknown(), zoom, this.isChosen(layer, f), Grid.unsure.get(f.id) || ""))
        : layer.paint === "name" ? () => null
        : layer.paint === "bins" ? g.heatStyle(layer, (f) => this.isChosen(layer, f))
        : g.styleOf(layer, () => this.classing(layer), (f) => this.isChosen(layer, f));
      return new L.CanvasTiles({
        url: `/tiles/${layer.id}/{z}/{x}/{y}.mvt`, query: this.question(layer), layerName: layer.id, style,
        minZoom: Math.max(1, layer.min_zoom + 1), maxDataZoom: Math.min(14, layer.max_zoom), drawn: layer.paint !== "name",
        pickable: layer.pickable, onLine: layer.paint === "line", hitPixels: layer.paint === "line" ? 5 : 8, hitUnits: layer.bins ? 4096 / layer.bins / 2 : 0,
        pane: layer.paint === "name" ? "geo-names" : `geo-${layer.id}`, ...more,
      })
        .on("decoded", () => this.labels && this.labels.drawSoon())
        .on("refused", () => this.refused(layer))
        .on("datafailed", () => this.failed());
    },

    /* --- the lens: one class per cell, swapped without fetching a tile ------------------------------------------- */
    async lens(name) {
      const by = this.wayOf(name), changed = name !== Grid.lens || by !== Grid.by, moment = this.past.as_of;
      let body = null;
      try {
        // Of a day before the first record nothing is asked: whatever came back would look like an answer.
        if (!this.past.unknown.includes(name)) {
          const asked = new URLSearchParams({ ...(moment ? { as_of: moment } : {}), ...(by ? { classing: by } : {}) }).toString();
          const answer = await fetch(`/lens/${name}.json${asked && `?${asked}`}`);
          if (answer.ok) body = await answer.json();
          else if (!moment || answer.status >= 500) throw new Error(`HTTP ${answer.status}`);
        }
        if (moment !== this.past.as_of || by !== this.wayOf(name)) return;
        this.coloured(name, body);
        if (changed) for (const layer of this.config.layers) if (g.symbols[layer.style.symbol]?.crowds && this.tiles[layer.id]) this.tiles[layer.id].restyle();
        const hatched = {};
        for (const why of Object.values((body && body.hatched) || {})) hatched[why] = (hatched[why] || 0) + 1;
        tell("lens-counts", { lens: name, classing: by, counts: body ? body.counts : {}, hatched, as_of: body ? body.as_of : moment, unknown: !body, lacks: (body && body.lacks) || [] });
      } catch (fault) { this.failed(); console.warn("lens", fault); }
      if (changed) this.write();
    },
    /* The classing of a lens: what was chosen, else its usual one; "" where there is one only. */
    wayOf(name) { const ways = this.config.lenses[name]; return this.state.by[name] in ways ? this.state.by[name] : Object.keys(ways)[0]; },
    lensBy(by) {
      const name = Grid.lens;
      if (by === Object.keys(this.config.lenses[name])[0]) delete this.state.by[name]; else this.state.by[name] = by;
      this.lens(name);
      this.write();
    },
    /* Classes of all cells from /lens/….json; null = not known, and then every cell is hatched. */
    coloured(name, body) {
      this.state.lens = name; Grid.lens = name; Grid.by = this.wayOf(name);
      Grid.byValue = this.config.lenses[name][Grid.by];
      const index = new Map(Grid.byValue.map((entry, i) => [String(entry.value), i + 1]));
      const numbers = body ? Object.keys(body.classes).map(Number) : [];
      const classes = new Uint8Array(numbers.reduce((a, b) => Math.max(a, b), 0) + 1);
      for (const number of numbers) classes[number] = index.get(String(body.classes[number])) || 0;
      Grid.classes = classes; Grid.scores = (body && body.scores) || {};
      Grid.unsure = new Map(Object.entries((body && body.hatched) || {}).map(([number, why]) => [Number(number), why]));
      document.documentElement.dataset.lens = name;
      const started = performance.now();
      for (const layer of this.config.layers) if (layer.lens) this.tiles[layer.id].restyle();
      this.restyled = performance.now() - started;
      this.labels.draw();
    },
    /* A cell of which the lens says nothing (a firm sees its own sites, not the cell): hatched, never calm. */
    unknown() { return Grid.byValue.length ? UNKNOWN : null; },
    classOf(id) { return Grid.byValue[(Grid.classes[id] || 0) - 1] || null; },

    /* --- which layers are drawn, and what they are asked ----------------------------------------------------------- */
    /* On a past day: what cannot go back is off, ground that hardly changes stays faint; both are marked in the panel. Of a day
       before the first record nothing is drawn but hatched cells. */
    isShown(layer) { return !this.isUnknown(layer) && (layer.fixed || this.on_.has(layer.id)) && (!this.past.day || layer.fixed || (layer.past ? !this.past.before : layer.group === "ground")); },
    /* On, and nothing had been recorded by that day of what it follows from: the legend says so, the lens keeps its colours. */
    isUnknown(layer) { return Boolean(this.past.day) && layer.known_by !== "" && this.on_.has(layer.id) && this.past.unknown.includes(layer.known_by); },
    isFaint(layer) { return Boolean(this.past.day) && !layer.past && !layer.fixed; },
    showAll() {
      // Under a surface the colours of the cells would mix with its own: only their borders stay.
      const covered = this.config.layers.some((layer) => layer.geometry === "polygon" && this.isShown(layer) && layer.refusedFor !== this.question(layer) && (layer.scale || this.classing(layer)?.ramp));
      if (covered !== this.covered) {
        this.covered = covered;
        document.body.classList.toggle("covered", covered);
        for (const layer of this.config.layers) if (layer.lens) this.tiles[layer.id].restyle();
      }
      for (const layer of this.config.layers) {
        const on = this.isShown(layer), tiles = this.tiles[layer.id];
        if (layer.kind !== "tiles") { for (const marker of this.markers.values()) on ? marker.addTo(this.map) : marker.remove(); continue; }
        tiles.ask(this.question(layer));
        const pane = this.map.getPane(`geo-${layer.id}`);
        if (pane) pane.style.opacity = this.isFaint(layer) ? .45 : 1;
        if (on && !this.map.hasLayer(tiles)) tiles.addTo(this.map);
        if (!on && this.map.hasLayer(tiles)) tiles.remove();
      }
      if (this.tiles.land) this.tiles.land.ask(this.question([...this.declared.values()].find((layer) => layer.style.symbol === "border")));
      this.heats();
      this.labels.drawSoon();
      this.legend();
    },
    /* Of that day or window it is not known: what draws nothing covers nothing. */
    refused(layer) {
      const asked = this.question(layer);
      if (layer.refusedFor === asked) return;
      layer.refusedFor = asked;
      this.showAll();
    },
    layers(ids) {
      // Layers that this account's map does not have stay out, whatever the address says.
      this.on_ = new Set(ids.filter((id) => this.declared.has(id)));
      this.state.layers = [...this.on_];
      this.showAll();
      this.write();
    },
    classing(layer) { return layer.classings.find((one) => one.id === this.state.by[layer.id]) || layer.classings[0] || null; },
    classBy(id, classing) {
      const layer = this.declared.get(id);
      if (classing === layer.classings[0].id) delete this.state.by[id]; else this.state.by[id] = classing;
      this.tiles[id]?.restyle();
      this.legend();
      this.write();
    },
    /* The part of an address that says which day and which window: "" for the present. */
    question(layer) {
      const asked = new URLSearchParams();
      if (layer.window) { const { from, to } = g.windowOf(this.state.window, this.past.as_of); asked.set("from", from); if (to) asked.set("to", to); if (layer.scale && this.state.kind) asked.set("class", this.state.kind); }
      // Cells keep their place: their colours are what another day changes.
      else if (this.past.day && layer.past && !layer.lens) asked.set("as_of", this.past.as_of);
      const text = asked.toString();
      return text && `?${text}`;
    },
    /* Another day, or the present again: {day, as_of, unknown: lenses of which nothing was on record by then, before: nothing at all}. */
    goTo(past) {
      if (past.as_of === this.past.as_of) return;
      this.past = past;
      this.state.day = past.day;
      document.body.classList.toggle("past-day", Boolean(past.day));
      this.ellipse(null);
      this.coloured(Grid.lens, null);
      this.lens(Grid.lens);
      this.showAll();
      this.again();
      this.write();
    },
    /* What is chosen, asked for anew: it is told of another day or window. kind: only if it is of that layer. */
    again(only) {
      const [kind, ...id] = this.state.selected.split(":");
      if (kind && (!only || only === kind)) this.select(kind, id.join(":"), { fly: false });
    },

    /* --- the address is the state ------------------------------------------------------------------------------- */
    write() {
      clearTimeout(this.writing);
      this.writing = setTimeout(() => {
        const query = new URLSearchParams(location.search), s = this.state;
        query.set("lang", g.lang);
        const by = Object.entries(s.by).map((pair) => pair.join(":")).join(".");
        const parts = { lens: s.lens, z: s.z, lat: s.lat, lon: s.lon, selected: s.selected, day: s.day, by, window: s.window === this.config.window ? "" : s.window, kind: s.kind };
        for (const [key, value] of Object.entries(parts)) value ? query.set(key, value) : query.delete(key);
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
      this.legend();
    },
    stats() {
      const out = {};
      for (const [id, layer] of Object.entries(this.tiles)) out[id] = { ...layer.stats };
      return { layers: out, restyle_ms: this.restyled, labels: this.labels.drawn, lens: Grid.lens };
    },
  });

  window.geoappMap = { city: { mount: (feature, latlng, context) => new CityMap(context.hideout) } };
})();
