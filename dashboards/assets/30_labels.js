/* Names and numerals on one canvas over the whole map: never cut at tile edges, never on top of each other. */
(function () {
  "use strict";

  L.LabelCanvas = L.Layer.extend({
    /* sources(): list of {key, x, y (pixels of the current zoom), text, font, color, halo, rank}; lower rank goes first. */
    initialize(sources, options) { this._sources = sources; L.setOptions(this, options); this._later = null; },

    onAdd(map) {
      this._canvas = L.DomUtil.create("canvas", "geo-labels leaflet-zoom-hide", map.getPane(this.options.pane));
      map.on("moveend zoomend resize viewreset", this.draw, this);
      this.draw();
    },
    onRemove(map) { this._canvas.remove(); map.off("moveend zoomend resize viewreset", this.draw, this); },

    /* Many tiles arrive at once: one drawing for all of them. */
    drawSoon() {
      if (this._later) return;
      this._later = setTimeout(() => { this._later = null; this.draw(); }, 60);
    },

    draw() {
      const map = this._map;
      if (!map) return;
      const ratio = Math.min(window.devicePixelRatio || 1, 2);
      const size = map.getSize(), margin = Math.round(Math.min(size.x, size.y) / 3);
      const width = size.x + 2 * margin, height = size.y + 2 * margin;
      const canvas = this._canvas;
      if (canvas.width !== width * ratio || canvas.height !== height * ratio) {
        canvas.width = width * ratio; canvas.height = height * ratio;
        canvas.style.width = `${width}px`; canvas.style.height = `${height}px`;
      }
      L.DomUtil.setPosition(canvas, map.containerPointToLayerPoint([-margin, -margin]));
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      context.textAlign = "center"; context.textBaseline = "middle"; context.lineJoin = "round";

      const corner = map.project(map.containerPointToLatLng([-margin, -margin]), map.getZoom());
      const taken = [];
      let drawn = 0;
      for (const label of this._sources().sort((a, b) => a.rank - b.rank)) {
        const x = label.x - corner.x, y = label.y - corner.y;
        if (x < 0 || y < 0 || x > width || y > height) continue;
        context.font = label.font;
        const half = context.measureText(label.text).width / 2 + 3, tall = (label.size || 12) / 2 + 2;
        const box = [x - half, y - tall, x + half, y + tall];
        if (taken.some((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1])) continue;
        taken.push(box);
        if (label.halo) { context.lineWidth = label.haloWidth || 3.2; context.strokeStyle = label.halo; context.strokeText(label.text, x, y); }
        context.fillStyle = label.color;
        context.fillText(label.text, x, y);
        drawn += 1;
      }
      this.drawn = drawn;
    },
  });
})();
