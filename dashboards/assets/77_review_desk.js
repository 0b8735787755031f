/* The review desk: the queue, the keys, and what an officer says. Drawing of one lead: 78; the handover: 79.

   A word on a lead is taken only when its frames have been on the screen for a moment: a key pressed twice must not judge
   what nobody has seen. After it the next lead comes up by itself and the queue keeps the focus. */
(function () {
  "use strict";

  const g = window.geoapp;
  const $ = (id) => document.getElementById(id);
  const LOOK_MS = 400, SETTLE_MS = 140, TAKE_MS = 1200, RENEW_MS = 45000, AGAIN_MS = 30000, AWAY_MS = 300000;

  const desk = g.desk = { rows: [], current: null, lead: null, asking: null, drafts: new Map(), frame: 0, held: null };

  /* Text only, never markup. */
  desk.make = (name, className = "", text, ...children) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text !== undefined && text !== null && text !== "") element.textContent = text;
    element.append(...children.filter(Boolean));
    return element;
  };
  desk.button = (text, act, className = "plain", key = "") => {
    const button = desk.make("button", className, text);
    button.type = "button";
    if (act) button.dataset.desk = act;
    if (key !== "") button.append(desk.make("kbd", "", key));
    return button;
  };
  desk.fill = (text, fields) => text.replace(/\{(\w+)\}/g, (_, name) => fields[name] ?? "");
  desk.half = (text) => { const [zh, en] = String(text).split(" / "); return g.lang === "en" ? en || zh : zh; };

  desk.get = async (path) => {
    const answer = await fetch(`${path}${path.includes("?") ? "&" : "?"}lang=${g.lang}`, { cache: "no-store" });
    const body = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error(desk.half(body.error || desk.texts.failed)), { status: answer.status });
    return body;
  };
  desk.send = async (path, body, more = {}) => {
    let answer;
    try {
      answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json", "X-CSRFToken": g.csrf() }, body: JSON.stringify(body), ...more });
    } catch { throw Object.assign(new Error(desk.texts.failed), { status: 0 }); }
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw Object.assign(new Error(desk.half(said.error || desk.texts.failed)), { status: answer.status });
    return said;
  };
  desk.say = (text, tone = "") => {
    const spot = $("review-said");
    if (!spot) return;
    spot.textContent = text;
    spot.dataset.tone = tone;
  };

  /* --- the queue ------------------------------------------------------------------------------------------------- */
  let running = false, again = false;
  async function refresh() {
    if (running) { again = true; return; }
    running = true;
    try {
      const found = await desk.get("/review/queue.json");
      desk.failed = false;
      desk.told = found;
      desk.rows = found.rows;
      drawFigures();
      drawQueue();
      if (!desk.current) begin();
    } catch (fault) {
      desk.failed = true;
      drawQueue();
      console.warn("review queue", fault);
    }
    running = false;
    if (again) { again = false; g.byItself(refresh); }
  }
  desk.refresh = refresh;

  function begin() {
    const first = desk.selected || (desk.rows[0] && desk.rows[0].id);
    desk.selected = "";
    if (first) choose(first); else desk.drawLead();
  }

  function drawFigures() {
    const x = desk.texts, told = desk.told, box = $("review-figures"), make = desk.make;
    const all = told.times.find((row) => row.kind === "all");
    const waiting = make("span", told.unreviewed ? "desk-figure alarm" : "desk-figure", "", make("b", "", told.unreviewed), make("small", "", x.waiting_n));
    waiting.id = "review-waiting";
    const verify = make("details", "desk-times", "", make("summary", "", "", make("small", "", x.verify),
      ...(all ? [make("b", "", all.median), make("small", "", x.median), make("b", "", all.p90), make("small", "", x.p90)] : [make("small", "", x.no_times)])));
    verify.id = "review-time";
    verify.open = Boolean($("review-time") && $("review-time").open);
    if (all) {
      const table = make("table", "plain-table"), rows = [];
      for (const kind of ["class", "officer"]) {
        const lines = told.times.filter((row) => row.kind === kind);
        rows.push(make("tr", "", "", make("th", "", x[`by_${kind}`]), make("th", "", "n"), make("th", "", x.median), make("th", "", x.p90)));
        for (const row of lines) rows.push(make("tr", "", "", make("td", "", row.name), make("td", "", row.n), make("td", "", row.median), make("td", "", row.p90)));
      }
      table.append(make("tbody", "", "", ...rows));
      verify.append(make("div", "desk-times-table panel", "", table));
    }
    box.replaceChildren(waiting, ...(told.unreviewed ? [make("span", "desk-figure", "", make("small", "", x.longest), make("b", "", told.longest))] : []), verify);
  }

  function rowOf(lead) {
    const make = desk.make, x = desk.texts;
    const row = make("div", `queue-row ${lead.class}${lead.review === "unreviewed" ? "" : " judged"}`);
    row.id = `lead-${lead.id}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(lead.id === desk.current));
    row.dataset.lead = lead.id;
    const points = make("span", "points", lead.urgency);
    points.title = `${x.urgency}: ${lead.reasons.join(" · ")}`;
    row.append(
      make("span", "line", "", make("i", `dot ${lead.class}`), make("b", "", lead.class_word), make("small", "", `#${lead.no}`), make("time", "", desk.fill(x.waits, { time: lead.waiting })), points),
      make("span", "place", [lead.place, lead.town].filter(Boolean).join(" · ")));
    const tags = [
      ...lead.marks.map((text) => make("span", "tag grave", text)),
      make("span", `tag state-${lead.state}`, lead.state_word),
      lead.review !== "unreviewed" && make("span", `tag review-${lead.review}`, lead.review_word),
      lead.held && make("span", `tag held${lead.is_mine ? " mine" : ""}`, lead.is_mine ? x.held_mine : desk.fill(x.held_by, { who: lead.held })),
      lead.given && make("span", "tag given", desk.fill(x.given_to, { who: lead.given })),
    ];
    row.append(make("span", "line tags", "", ...tags));
    return row;
  }

  function drawQueue() {
    const box = $("review-queue"), x = desk.texts, make = desk.make;
    if (!box) return;
    const top = box.scrollTop, parts = [];
    if (desk.failed) parts.push(make("p", "queue-note bad", desk.told ? desk.fill(x.stale, { time: desk.told.as_of }) : x.failed));
    const open = desk.rows.filter((row) => row.review === "unreviewed"), judged = desk.rows.filter((row) => row.review !== "unreviewed");
    if (desk.told && desk.told.in_all > desk.rows.length) parts.push(make("p", "queue-note", desk.fill(x.shown_of, { shown: desk.rows.length, all: desk.told.in_all })));
    if (!open.length && desk.told) {
      const { cameras_online: online, cameras_total: total } = desk.told.cameras;
      parts.push(make("div", "queue-empty", "", make("b", "", x.empty), make("p", "", desk.fill(x.empty_note, { online, total }))));
    }
    parts.push(...open.map(rowOf));
    if (judged.length) parts.push(make("h3", "queue-head", `${x.goes_on} ${judged.length}`), ...judged.map(rowOf));
    box.replaceChildren(...parts);
    box.scrollTop = top;
    box.setAttribute("aria-activedescendant", desk.current ? `lead-${desk.current}` : "");
  }

  const order = () => [...desk.rows.filter((row) => row.review === "unreviewed"), ...desk.rows.filter((row) => row.review !== "unreviewed")];

  function move(step) {
    const list = order();
    if (!list.length) return;
    const at = list.findIndex((row) => row.id === desk.current);
    choose(list[at < 0 ? 0 : Math.min(list.length - 1, Math.max(0, at + step))].id);
  }

  /* Within the queue only: on a phone scrollIntoView would move the page. */
  function inSight(box, row) {
    if (!row) return;
    const over = row.offsetTop - box.scrollTop, under = over + row.offsetHeight - box.clientHeight;
    if (over < 0) box.scrollTop += over; else if (under > 0) box.scrollTop += under;
  }

  let settling = null, asked = 0;
  function choose(id) {
    if (id === desk.current && desk.lead) return;
    leave(id);
    desk.current = id;
    desk.lead = null;
    desk.asking = null;
    const box = $("review-queue");
    for (const row of box.querySelectorAll("[role=option]")) row.setAttribute("aria-selected", String(row.dataset.lead === id));
    box.setAttribute("aria-activedescendant", `lead-${id}`);
    inSight(box, $(`lead-${id}`));
    desk.drawLead();
    clearTimeout(settling);
    settling = setTimeout(() => load(id), SETTLE_MS);
  }
  desk.choose = choose;

  async function load(id, { keep = false } = {}) {
    const turn = ++asked;
    try {
      const lead = await desk.get(`/review/lead/${id}.json`);
      if (turn !== asked || desk.current !== id) return;
      const frame = keep && desk.lead ? desk.frame : Math.max(0, lead.frames.findIndex((f) => f.id === lead.newest));
      desk.lead = lead;
      desk.frame = Math.min(frame, Math.max(0, lead.frames.length - 1));
      if (!keep) desk.shown = performance.now();
      desk.drawLead(keep);
      if (!keep) { place(lead); taking(id); }
    } catch (fault) {
      if (turn === asked && desk.current === id && !keep) desk.drawFault(fault.message);
    }
  }
  desk.load = load;

  /* The lead on the map; the address names it, so that it can be handed to a colleague. */
  function place(lead) {
    const city = g.city;
    if (!city || !city.map) { waitForMap = lead; return; }
    waitForMap = null;
    city.select("incident", lead.id, { fly: false });
    city.map.invalidateSize();
    if (lead.at.lat !== null) city.map.setView([lead.at.lat, lead.at.lon], 17, { animate: false });
  }
  let waitForMap = null;

  /* --- in whose hand -------------------------------------------------------------------------------------------- */
  let takes = null, lastTouch = Date.now();
  function taking(id) {
    clearTimeout(takes);
    if (!desk.may || !desk.lead || desk.lead.review !== "unreviewed") return;
    takes = setTimeout(() => hold(id), TAKE_MS);
  }
  async function hold(id) {
    if (desk.current !== id || document.hidden || Date.now() - lastTouch > AWAY_MS) return;
    try {
      await g.byItself(() => desk.send(`/incidents/${id}/hold`, {}));
      if (desk.current !== id) { desk.send(`/incidents/${id}/hold`, { release: true }).catch(() => {}); return; }
      desk.held = id;
      takes = setTimeout(() => hold(id), RENEW_MS);
    } catch (fault) {
      if (fault.status === 409) { load(id, { keep: true }); takes = setTimeout(() => hold(id), RENEW_MS); }
    }
  }
  function leave(next) {
    clearTimeout(takes);
    if (desk.held && desk.held !== next) { desk.send(`/incidents/${desk.held}/hold`, { release: true }, { keepalive: true }).catch(() => {}); desk.held = null; }
  }

  /* --- what an officer says -------------------------------------------------------------------------------------- */
  const draft = () => {
    if (!desk.drafts.has(desk.current)) desk.drafts.set(desk.current, { reason: "", cause: null, note: "", find: "", to: null });
    return desk.drafts.get(desk.current);
  };
  desk.draft = draft;

  const isReady = () => desk.may && desk.lead && desk.lead.id === desk.current && !desk.busy && performance.now() - desk.shown > LOOK_MS;

  function ask(what) {
    desk.asking = what;
    desk.drawAsk();
  }
  function cancel() {
    if (!desk.asking) return false;
    desk.asking = null;
    desk.drawAsk();
    $("review-queue").focus({ preventScroll: true });
    return true;
  }

  function judge(what) {
    if (!desk.may) { desk.say(desk.texts.look_only, "bad"); return; }
    if (!isReady()) return;
    if (what === "confirmed") send("confirmed");
    else if (what === "permitted" && desk.lead.has_permit) send("permitted");
    else ask(what);
  }

  async function submit() {
    const x = desk.texts, said = draft();
    if (desk.asking === "false") {
      if ((!said.cause || said.cause === "other") && said.reason.trim().length < 2) { desk.say(x.reason_needed, "bad"); $("desk-reason").focus(); return; }
      await send("false");
    } else if (desk.asking === "permitted") {
      if (said.reason.trim().length < 2) { desk.say(x.basis_needed, "bad"); $("desk-reason").focus(); return; }
      await send("permitted");
    } else if (desk.asking === "assign") {
      if (!said.to) { desk.say(x.choose, "bad"); $("desk-find").focus(); return; }
      await assign(said);
    }
  }

  async function send(review) {
    const x = desk.texts, lead = desk.lead, said = draft();
    desk.busy = true;
    desk.say(x.sending);
    try {
      await desk.send(`/incidents/${lead.id}/review`, { review, reason: said.reason.trim(), cause: review === "false" ? said.cause : null, was: lead.review });
      desk.drafts.delete(lead.id);
      onward(lead, review);
    } catch (fault) {
      if (fault.status === 409) {
        // Somebody was faster. What was typed stays; what they said is shown, and a second press overrules it knowingly.
        await load(lead.id, { keep: true });
        desk.say(desk.lead && desk.lead.reviewed ? desk.fill(x.too_late, { said: desk.lead.reviewed }) : fault.message, "bad");
        refresh();
      } else desk.say(fault.message, "bad");
    } finally { desk.busy = false; }
  }

  /* The next one to verify comes up by itself: the one below, else the topmost. */
  function onward(lead, review) {
    const list = desk.rows.filter((row) => row.review === "unreviewed");
    const at = list.findIndex((row) => row.id === lead.id);
    const next = list[at + 1] || list.filter((row) => row.id !== lead.id)[0];
    desk.last = desk.fill(desk.texts.done_review, { no: lead.no, review: desk.words[review] });
    desk.rows = desk.rows.filter((row) => row.id !== lead.id);
    desk.asking = null;
    desk.held = null;
    clearTimeout(takes);
    desk.current = null;
    desk.lead = null;
    drawQueue();
    if (next) choose(next.id); else desk.drawLead();
    desk.say(desk.last, "good");
    $("review-queue").focus({ preventScroll: true });
    refresh();
  }

  async function assign(said) {
    const lead = desk.lead;
    desk.busy = true;
    desk.say(desk.texts.sending);
    try {
      const to = said.to.kind === "department" ? { department_code: said.to.id } : { person_id: Number(said.to.id) };
      await desk.send(`/incidents/${lead.id}/assign`, { ...to, note: said.note.trim() });
      const who = said.to.name;
      desk.drafts.delete(lead.id);
      desk.asking = null;
      await load(lead.id, { keep: true });
      desk.drawAsk();
      desk.say(desk.fill(desk.texts.done_assign, { no: lead.no, who }), "good");
      $("review-queue").focus({ preventScroll: true });
      refresh();
    } catch (fault) { desk.say(fault.message, "bad"); } finally { desk.busy = false; }
  }

  function show(step) {
    const frames = desk.lead ? desk.lead.frames : [];
    if (!frames.length) return;
    desk.frame = Math.min(frames.length - 1, Math.max(0, desk.frame + step));
    desk.drawFrame();
  }

  const acts = {
    confirmed: () => judge("confirmed"), false: () => judge("false"), permitted: () => judge("permitted"), assign: () => judge("assign"),
    submit, cancel, before: () => show(-1), after: () => show(1), retry: () => desk.current && load(desk.current),
    keys: () => $("review-keys").showModal(), handover: () => desk.openShift(),
    close: (button) => { button.closest("dialog").close(); $("review-queue").focus({ preventScroll: true }); },
  };

  document.addEventListener("click", (event) => {
    if (!$("review")) return;
    lastTouch = Date.now();
    const row = event.target.closest("[data-lead]");
    if (row) { choose(row.dataset.lead); return; }
    const button = event.target.closest("[data-desk]");
    if (button && acts[button.dataset.desk]) acts[button.dataset.desk](button);
    const frame = event.target.closest("[data-frame]");
    if (frame) { desk.frame = Number(frame.dataset.frame); desk.drawFrame(); }
    const cause = event.target.closest("[data-cause]");
    if (cause) { draft().cause = cause.dataset.cause; desk.drawAsk(); }
  });

  const KEYS = { j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), ArrowLeft: () => show(-1), ArrowRight: () => show(1),
    1: acts.confirmed, 2: acts.false, 3: acts.permitted, 4: acts.assign, h: acts.handover, "?": acts.keys,
    m: () => { if (desk.current) location.href = `/?lang=${g.lang}&selected=incident:${desk.current}`; } };

  document.addEventListener("keydown", (event) => {
    if (!$("review") || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    lastTouch = Date.now();
    if (document.querySelector("#review dialog[open]")) return;
    const field = event.target.closest("input, textarea, select");
    if (event.key === "Escape" && cancel()) { event.preventDefault(); return; }
    if (event.key === "Enter" && desk.asking && !event.target.closest("button, textarea, [role=listbox] [role=option]")) {
      event.preventDefault();
      submit();
      return;
    }
    if (field || event.target.closest(".map-area, summary")) return;
    if (desk.asking === "false" && /^[0-9]$/.test(event.key)) {
      event.preventDefault();
      const entry = desk.causes[(Number(event.key) + 9) % 10];
      draft().cause = entry[0];
      desk.drawAsk();
      return;
    }
    const act = KEYS[event.key];
    if (act && !(event.repeat && /^[0-9]$/.test(event.key))) { event.preventDefault(); act(); }
  });

  /* --- what happens meanwhile ------------------------------------------------------------------------------------ */
  let soon = null;
  document.addEventListener("geoapp:news", ({ detail }) => {
    if (!$("review")) return;
    const about = detail.payload && String(detail.payload.id || "");
    if (detail.type === "event" && !["incident", "review"].includes(detail.topic)) return;
    clearTimeout(soon);
    soon = setTimeout(() => g.byItself(() => {
      refresh();
      if (desk.lead && about === desk.current && !desk.busy) load(desk.current, { keep: true });
    }), 250);
  });
  window.addEventListener("pagehide", () => leave(null));

  (window.dash_clientside = window.dash_clientside || {}).geoapp = Object.assign(window.dash_clientside.geoapp || {}, {
    deskChosen(chosen) {
      if (chosen && chosen.kind === "incident" && chosen.id !== desk.current) choose(chosen.id);
      return window.dash_clientside.no_update;
    },
  });

  function mount(root) {
    desk.root = root;
    desk.texts = JSON.parse(root.dataset.texts);
    desk.causes = JSON.parse(root.dataset.causes);
    desk.words = JSON.parse(root.dataset.words);
    desk.may = Boolean(root.dataset.may);
    desk.selected = root.dataset.selected;
    desk.drawLead();
    refresh();
    desk.countUnread();
    $("review-queue").focus({ preventScroll: true });
    setInterval(() => g.byItself(() => {
      if (waitForMap && g.city && g.city.map) place(waitForMap);
    }), 400);
    setInterval(() => g.byItself(refresh), AGAIN_MS);
  }
  new MutationObserver(() => { const root = $("review"); if (root && root !== desk.root) mount(root); })
    .observe(document.documentElement, { childList: true, subtree: true });
})();
