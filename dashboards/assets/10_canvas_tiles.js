/* Vector tiles on plain 2D canvases inside Leaflet: no WebGL, no plug-in.

   A tile is fetched and decoded once into one Path2D per feature (units of the tile, 0..extent) and drawn from there as
   often as needed: restyle() never fetches, ask() does where the question (a past day, a window) is another one. Tiles are 512 px, so the data zoom is the map zoom - 1; it is capped at
   `maxDataZoom` and deeper zooms are drawn again from that data, not scaled. Uses GridLayer's _tiles (Leaflet 1.9.4). */
(function () {
  "use strict";

  const POINT = 1, LINE = 2, POLYGON = 3;
  const scratch = document.createElement("canvas").getContext("2d");
  const MAX_KEPT = 96;
  // Two layers over the same address share what was fetched; the question (?as_of=…) is part of the address.
  const stores = new Map();
  function storeOf(address) {
    if (!stores.has(address)) stores.set(address, { users: 0, tiles: new Map() });
    const store = stores.get(address);
    store.users += 1;
    return store.tiles;
  }
  function leave(address) {
    const store = stores.get(address);
    store.users -= 1;
    if (store.users <= 0) stores.delete(address);
  }

  function decode(buffer, layerName) {
    const { PbfReader, VectorTile } = window.vectortile;
    const tile = new VectorTile(new PbfReader(new Uint8Array(buffer)));
    const layer = tile.layers[layerName];
    if (!layer) return { extent: 4096, features: [] };
    const features = [];
    for (let i = 0; i < layer.length; i++) {
      const raw = layer.feature(i);
      const rings = raw.loadGeometry();
      const feature = { id: raw.id, type: raw.type, properties: raw.properties, box: [Infinity, Infinity, -Infinity, -Infinity] };
      const box = feature.box;
      const path = raw.type === POINT ? null : new Path2D();
      if (raw.type === POINT) feature.points = [];
      else feature.path = path;
      let longest = 0, longestRing = null;
      for (const ring of rings) {
        for (let k = 0; k < ring.length; k++) {
          const { x, y } = ring[k];
          if (x < box[0]) box[0] = x;
          if (y < box[1]) box[1] = y;
          if (x > box[2]) box[2] = x;
          if (y > box[3]) box[3] = y;
          if (!path) feature.points.push([x, y]);
          else if (k === 0) path.moveTo(x, y);
          else path.lineTo(x, y);
        }
        if (path && raw.type === POLYGON) path.closePath();
        if (raw.type === LINE && ring.length > longest) { longest = ring.length; longestRing = ring; }
      }
      if (longestRing) { const middle = longestRing[longestRing.length >> 1]; feature.middle = [middle.x, middle.y]; }
      if (raw.type === POLYGON && rings.length) {
        const [area, x, y] = centre(rings[0]);
        feature.area = area; feature.middle = [x, y];
      }
      features.push(feature);
    }
    return { extent: layer.extent, features };
  }

  /* Area (square units) and centroid of a ring by the shoelace formula. */
  function centre(ring) {
    let twice = 0, cx = 0, cy = 0;
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const cross = ring[j].x * ring[i].y - ring[i].x * ring[j].y;
      twice += cross; cx += (ring[j].x + ring[i].x) * cross; cy += (ring[j].y + ring[i].y) * cross;
    }
    if (!twice) return [0, ring[0].x, ring[0].y];
    return [Math.abs(twice / 2), cx / (3 * twice), cy / (3 * twice)];
  }

  L.CanvasTiles = L.GridLayer.extend({
    options: {
      tileSize: 512, minZoom: 1, maxZoom: 19, maxDataZoom: 14, updateWhenIdle: false, updateWhenZooming: false, keepBuffer: 1,
      url: null, query: "", layerName: null, style: null, pickable: false, onLine: false, hitPixels: 7, hitUnits: 0, drawn: true,
    },

    initialize(options) {
      L.setOptions(this, options);
      this._data = storeOf(this._address());
      this.stats = { fetched: 0, decoded: 0, drawn: 0, failed: 0, refused: 0, aborted: 0, features: 0 };
      this.on("tileunload", this._release, this);
    },

    _address() { return this.options.url + this.options.query; },

    /* Asks the same layer another question; nothing is fetched while the layer is off. */
    ask(query) {
      if (query === this.options.query) return;
      const before = this._address();
      this.options.query = query;
      this._data = storeOf(this._address());
      leave(before);
      if (this._map) this.redraw();
    },

    /* At half zooms Leaflet shrinks the tiles of the next whole zoom: what is drawn in pixels must be larger to match. */
    getEvents() {
      const events = L.GridLayer.prototype.getEvents.call(this);
      return { ...events, zoomend: () => { const k = this._enlarge(); if (k !== this._enlarged) { this._enlarged = k; this.restyle(); } } };
    },
    _enlarge() { const zoom = this._map.getZoom(); return 2 ** (Math.round(zoom) - zoom); },

    createTile(coords, done) {
      const tile = document.createElement("canvas");
      const ratio = Math.min(window.devicePixelRatio || 1, 2);
      tile.width = tile.height = this.options.drawn ? 512 * ratio : 1;
      tile.className = "geo-tile";
      const zoom = coords.z - 1;
      const up = Math.max(0, zoom - this.options.maxDataZoom);
      const key = `${zoom - up}/${coords.x >> up}/${coords.y >> up}`;
      const entry = this._obtain(key);
      const view = { key, entry, data: this._data, up, ratio, coords, x: coords.x - ((coords.x >> up) << up), y: coords.y - ((coords.y >> up) << up) };
      tile._geo = view;
      entry.users += 1;
      entry.promise.then(
        () => { if (tile._geo) { this._draw(tile); this.fire("decoded", { key }); done(null, tile); } },
        (fault) => { view.failed = true; done(fault, tile); });
      return tile;
    },

    _obtain(key) {
      const data = this._data;
      let entry = data.get(key);
      if (entry && !entry.failed) { data.delete(key); data.set(key, entry); return entry; }
      const [z, x, y] = key.split("/");
      const controller = new AbortController();
      entry = { users: 0, controller, decoded: null };
      this.stats.fetched += 1;
      entry.promise = fetch(L.Util.template(this.options.url, { z, x, y }) + this.options.query, { signal: controller.signal })
        .then((answer) => {
          if (answer.status === 204) return null;
          // Not known of that day or window: nothing is drawn, and whoever listens says why.
          if (answer.status === 422) { this.stats.refused += 1; this.fire("refused"); return null; }
          if (!answer.ok) throw new Error(`${this.options.layerName} ${key}: HTTP ${answer.status}`);
          return answer.arrayBuffer();
        })
        .then((buffer) => {
          entry.decoded = buffer ? decode(buffer, this.options.layerName) : { extent: 4096, features: [] };
          this.stats.decoded += 1;
          this.stats.features += entry.decoded.features.length;
        })
        .catch((fault) => {
          entry.failed = true;
          if (data.get(key) === entry) data.delete(key);
          if (fault.name !== "AbortError") { this.stats.failed += 1; this.fire("datafailed", { key, fault }); }
          throw fault;
        });
      data.set(key, entry);
      return entry;
    },

    _release({ tile }) {
      const view = tile._geo;
      if (!view) return;
      tile._geo = null;
      tile.width = tile.height = 0;
      const { entry, data } = view;
      entry.users -= 1;
      if (entry.users > 0) return;
      if (!entry.decoded) { entry.controller.abort(); this.stats.aborted += 1; if (data.get(view.key) === entry) data.delete(view.key); return; }
      if (data.size > MAX_KEPT) {
        for (const [key, old] of data) {
          if (old.users <= 0) { data.delete(key); break; }
        }
      }
    },

    /* Draws all tiles again from their decoded features; those in view now, the rest in idle time. */
    restyle() {
      if (!this._map) return;
      const map = this._map, zoom = this._tileZoom;
      const middle = map.project(map.getCenter(), zoom), half = map.getSize().multiplyBy(map.getZoomScale(zoom, map.getZoom()) / 2);
      const view = L.bounds(middle.subtract(half), middle.add(half));
      const later = [];
      for (const { el, coords } of Object.values(this._tiles)) {
        if (!el._geo) continue;
        const corner = L.point(coords.x * 512, coords.y * 512);
        const seen = coords.z === zoom && view.intersects(L.bounds(corner, corner.add([512, 512])));
        if (seen) this._draw(el); else later.push(el);
      }
      const idle = window.requestIdleCallback || ((run) => setTimeout(run, 30));
      if (later.length) idle(() => later.forEach((tile) => { if (tile._geo) this._draw(tile); }));
    },

    /* Fetches again what could not be fetched (the server was away), and with `all` everything (the data changed). */
    reload(all) {
      if (!this._map) return;
      if (all) { this._data.clear(); this.redraw(); return; }
      if (Object.values(this._tiles).some(({ el }) => el._geo && el._geo.failed)) this.redraw();
    },

    _draw(tile) {
      const view = tile._geo;
      const entry = view.entry;
      if (!entry.decoded || !this.options.drawn) return;
      const context = tile.getContext("2d");
      const { extent, features } = entry.decoded;
      const scale = (512 * 2 ** view.up) / extent;
      const zoom = view.coords.z, k = this._map ? this._enlarge() : 1;
      const offsetX = -view.x * 512, offsetY = -view.y * 512;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, tile.width, tile.height);

      // Features of one style object are drawn together: canvas state changes cost more than the drawing.
      const batches = new Map();
      const low = [(-offsetX - 40) / scale, (-offsetY - 40) / scale], high = [(-offsetX + 552) / scale, (-offsetY + 552) / scale];
      for (const feature of features) {
        const box = feature.box;
        if (box[2] < low[0] || box[3] < low[1] || box[0] > high[0] || box[1] > high[1]) continue;
        const style = this.options.style(feature, zoom);
        if (!style) continue;
        const list = batches.get(style);
        if (list) list.push(feature); else batches.set(style, [feature]);
      }
      const ordered = [...batches.entries()].sort((a, b) => (a[0].order || 0) - (b[0].order || 0));
      for (const [style, list] of ordered) {
        if (style.symbol) {
          context.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
          for (const feature of list) {
            for (const [x, y] of feature.points || [feature.middle]) {
              context.save();
              context.translate(x * scale + offsetX, y * scale + offsetY);
              context.scale(k, k);
              style.symbol(context, 0, 0, feature, zoom, scale / k);
              context.restore();
            }
          }
          continue;
        }
        const s = scale * view.ratio;
        context.setTransform(s, 0, 0, s, offsetX * view.ratio, offsetY * view.ratio);
        context.lineJoin = "round"; context.lineCap = style.dash ? "butt" : "round";
        if (style.fill) { context.fillStyle = style.fill; for (const f of list) if (f.type === POLYGON) context.fill(f.path, "evenodd"); }
        if (style.hatch) {
          context.fillStyle = geoapp.hatch(context, style.hatch, view.ratio, s / k);
          for (const f of list) context.fill(f.path, "evenodd");
        }
        for (const line of style.lines || []) {
          context.strokeStyle = line.color; context.lineWidth = line.width * k / scale;
          context.setLineDash((line.dash || []).map((d) => d * k / scale));
          for (const f of list) context.stroke(f.path);
        }
        context.setLineDash([]);
      }
      this.stats.drawn += 1;
    },

    /* The topmost feature under a place, or null. Points win within hitPixels of their centre, or as squares of hitUnits (of the tile) to each side; a line, and with onLine the
       border of an area, is hit by its stroke. */
    pick(latlng) {
      if (!this._map || !this.options.pickable) return null;
      const zoom = this._tileZoom;
      const world = this._map.project(latlng, zoom);
      const coords = { x: Math.floor(world.x / 512), y: Math.floor(world.y / 512) };
      const held = this._tiles[`${coords.x}:${coords.y}:${zoom}`];
      const view = held && held.el._geo;
      const entry = view && view.entry;
      if (!entry || !entry.decoded) return null;
      const scale = (512 * 2 ** view.up) / entry.decoded.extent;
      const x = (world.x - coords.x * 512 + view.x * 512) / scale, y = (world.y - coords.y * 512 + view.y * 512) / scale;
      const half = this.options.hitUnits, reach = half || this.options.hitPixels * this._enlarge() / scale;
      let best = null, nearest = Infinity;
      for (let i = entry.decoded.features.length - 1; i >= 0; i--) {
        const feature = entry.decoded.features[i];
        const box = feature.box;
        if (x < box[0] - reach || y < box[1] - reach || x > box[2] + reach || y > box[3] + reach) continue;
        if (!this.options.style(feature, zoom)) continue;
        if (feature.type === POINT) {
          for (const [px, py] of feature.points) {
            const distance = half ? Math.max(Math.abs(px - x), Math.abs(py - y)) : Math.hypot(px - x, py - y);
            if (distance <= reach && distance < nearest) { nearest = distance; best = feature; }
          }
        } else if (feature.type === LINE || this.options.onLine) {
          scratch.lineWidth = reach;
          if (scratch.isPointInStroke(feature.path, x, y)) return feature;
        } else if (scratch.isPointInPath(feature.path, x, y, "evenodd")) return feature;
      }
      return best;
    },

    /* Calls visit(feature, world) for the decoded features of the tiles in view; world(unitX, unitY) gives pixels of the
       current zoom. Used for labels, which must not be cut at tile edges. */
    eachInView(visit) {
      if (!this._map) return;
      const zoom = this._tileZoom, shrink = this._map.getZoomScale(this._map.getZoom(), zoom);
      const done = new Set();
      for (const { el, coords } of Object.values(this._tiles)) {
        const view = el._geo;
        if (!view || coords.z !== zoom || done.has(view.key)) continue;
        const entry = view.entry;
        if (!entry.decoded) continue;
        done.add(view.key);
        const scale = shrink * (512 * 2 ** view.up) / entry.decoded.extent;
        const left = shrink * (coords.x - view.x) * 512, top = shrink * (coords.y - view.y) * 512;
        const extent = entry.decoded.extent;
        for (const feature of entry.decoded.features) visit(feature, (x, y) => [left + x * scale, top + y * scale], scale, extent);
      }
    },
  });
})();
