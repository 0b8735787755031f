/* Live leads: markers of their own, because they move, pulse and are asked for every minute. */
(function () {
  "use strict";

  const g = window.geoapp;
  const SHAPES = { fire: "M12.200 1.500c.9 3.700-1.600 5.500-3.400 7.900C7.400 11.200 6 13 6 15.600a6 6 0 0 0 12 0c0-2.900-1.400-5.100-3-7-.2 1.700-.9 2.800-2 3.300.7-3.400.1-7.300-.8-10.400z",
    smoke: "M7 18a4 4 0 0 1-.5-8A5.500 5.500 0 0 1 17 8.500 4.800 4.800 0 0 1 16.500 18z",
    welding_arc: "M13 2 5 14h5l-1 8 8-12h-5z", sparks: "M12 3v6M12 15v6M3 12h6M15 12h6M6 6l3.500 3.500M14.500 14.500 18 18M18 6l-3.500 3.500M9.500 14.500 6 18" };
  g.icon = (kind) => `<svg viewBox="0 0 24 24" aria-hidden="true" class="glyph ${kind}"><path d="${SHAPES[kind] || SHAPES.fire}"/></svg>`;

  g.CityMap.include({
    async refreshIncidents(pulse) {
      if (!this.declared.has("incident")) return;
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
          if (this.isShown(this.declared.get("incident"))) marker.addTo(this.map);
          if (pulse && p.state === "open") this.pulse(marker);
        } else if (marker.look !== look) { marker.setIcon(L.divIcon({ className: look, html: `<i></i>${g.icon(p.class)}`, iconSize: [30, 30] })); marker.setLatLng([lat, lon]); }
        marker.look = look;
        marker.getElement()?.classList.toggle("chosen", this.state.selected === `incident:${id}`);
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
  });
})();
