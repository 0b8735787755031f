/* One stream per browser page: /live. Replays what was missed after a break, and never lets the screen be silently old. */
(function () {
  "use strict";

  const g = window.geoapp;
  const SILENCE_MS = 12000;
  const SIGNED_OUT = 4401;
  const $ = (id) => document.getElementById(id);

  const live = g.live = { last: null, lastGood: null, tries: 0, socket: null, stale: false, seen: new Set() };

  function clock(moment, seconds = true) {
    const zone = document.querySelector(".screen")?.dataset.zone || undefined;
    return new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", ...(seconds ? { second: "2-digit" } : {}), timeZone: zone, hourCycle: "h23" }).format(moment);
  }

  function set(state) {
    const pill = $("live-pill");
    if (!pill) return;
    pill.dataset.state = state;
    const texts = JSON.parse(pill.dataset.texts);
    pill.querySelector("span").textContent = texts[state] + (live.lastGood && state === "fresh" ? ` ${clock(live.lastGood)}` : "");
  }

  function banner(kind, since) {
    const box = $("stale-banner");
    if (!box) return;
    const texts = JSON.parse(box.dataset.texts);
    if (!kind) { if (live.stale) { live.stale = false; box.hidden = true; set("fresh"); g.city && g.city.recovered(); tick("slow-tick", {}); tick("live-tick", {}); } return; }
    live.stale = true;
    const text = texts[kind].replace("{time}", since ? clock(since) : "—");
    if (box.textContent !== text) box.textContent = text;
    box.hidden = false;
    set("stale");
  }

  /* Fresh data of a watch that has stopped: true, and still nobody looks. */
  function silence(beat) {
    const box = $("watch-banner");
    if (!box) return;
    const texts = JSON.parse(box.dataset.texts);
    const text = beat.watch_never ? texts.watch_never : beat.watch_silent_since ? texts.watch.replace("{time}", clock(new Date(beat.watch_silent_since))) : "";
    if (box.textContent !== text) box.textContent = text;
    box.hidden = !text;
  }

  let count = 0;
  function tick(id, data) { if ($(`${id}-mark`)) window.dash_clientside.set_props(id, { data: { ...data, n: ++count } }); }

  let later = null;
  function slowTick() { clearTimeout(later); later = setTimeout(() => tick("slow-tick", {}), 3000); }

  function toast(event) {
    const box = $("toasts");
    if (!box) return;
    const texts = JSON.parse(box.dataset.texts), p = event.payload;
    const card = document.createElement("button");
    card.className = `toast ${p.class}`;
    card.dataset.select = `incident:${p.id}`;
    card.innerHTML = `${g.icon(p.class)}<span><b></b><small></small></span>`;
    card.querySelector("b").textContent = `${texts.opened}: ${texts[p.class] || p.class} #${p.incident_no}`;
    card.querySelector("small").textContent = `${clock(new Date(event.at))} · ${texts.lead}`;
    box.prepend(card);
    while (box.children.length > 3) box.lastChild.remove();
    setTimeout(() => card.remove(), 9000);
  }

  function heard(event) {
    if (event.type === "beat") {
      live.lastGood = new Date(event.now);
      live.last = Math.max(live.last || 0, event.last_id);
      banner(null);
      silence(event);
      if (!live.stale) set("fresh");
    } else if (event.type === "away") {
      banner("database", new Date(event.since));
    } else if (event.type === "reload") {
      // Too much was missed to be told one by one: everything is asked for anew. The next beat says from where to go on.
      if (g.city && g.city.map) g.city.recovered();
      tick("slow-tick", {});
      tick("live-tick", {});
      document.dispatchEvent(new CustomEvent("geoapp:news", { detail: event }));
    } else if (event.type === "event") {
      if (live.seen.has(event.id)) return;
      live.seen.add(event.id);
      if (live.seen.size > 5000) live.seen = new Set([...live.seen].slice(-1000));
      live.last = Math.max(live.last || 0, event.id);
      document.dispatchEvent(new CustomEvent("geoapp:news", { detail: event }));
      if (event.topic === "incident") {
        const opened = event.payload.state === "open" && ["opened", "open"].includes(event.payload.transition || "opened");
        if (opened && !event.replayed) toast(event);
        if (g.city && g.city.map) g.city.refreshIncidents(true);
        tick("live-tick", { topic: event.topic, id: event.id });
      }
      slowTick();
    }
  }

  function connect() {
    const after = live.last === null ? "" : `?after=${live.last}`;
    const socket = live.socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live${after}`);
    let alarm = null;
    const listen = () => { clearTimeout(alarm); alarm = setTimeout(() => { banner("server", live.lastGood); socket.close(); }, SILENCE_MS); };
    listen();
    let opened = false;
    socket.onopen = () => { opened = true; live.tries = 0; listen(); };
    socket.onmessage = (message) => { listen(); g.byItself(() => heard(JSON.parse(message.data))); };
    socket.onclose = (end) => {
      clearTimeout(alarm);
      if (end.code === SIGNED_OUT) { g.signIn(); return; }
      // A refused handshake has no code: any answer of the server says whether it was for want of a session (401).
      if (!opened) g.byItself(() => fetch("/layers/base.json", { cache: "no-store" })).catch(() => {});
      if (live.tries > 0 || live.lastGood) banner("server", live.lastGood || g.opened);
      const wait = Math.min(15000, 500 * 2 ** live.tries) * (0.7 + 0.6 * Math.random());
      live.tries += 1;
      setTimeout(connect, wait);
    };
  }

  /* A tile, lens or feature request failed: show it at once, do not wait for the stream's silence. */
  live.doubt = () => { if (!live.stale) banner("part", live.lastGood || g.opened); live.doubted = true; };

  g.opened = new Date();
  g.tick = tick;
  g.clock = clock;
  setInterval(() => tick("slow-tick", {}), 60000);
  connect();
})();
