/* One lead of the review desk, drawn from values: its frames with boxes, the looks around it, the facts, what is asked. */
(function () {
  "use strict";

  const g = window.geoapp, desk = g.desk, make = desk.make;
  const $ = (id) => document.getElementById(id);
  const KEPT = 24;

  /* A frame as an address that an <img> can show, or the sentence that says why there is none. Each is one look, on record. */
  const pictures = new Map();
  function picture(id) {
    if (!pictures.has(id)) {
      pictures.set(id, fetch(`/evidence/${id}.jpg`).then(async (answer) => {
        if (answer.ok) return { url: URL.createObjectURL(await answer.blob()) };
        const said = await answer.json().catch(() => ({}));
        if (![404, 409, 410].includes(answer.status)) pictures.delete(id);
        return { fault: desk.half(said.error || desk.texts.failed) };
      }).catch(() => { pictures.delete(id); return { fault: desk.texts.failed }; }));
      if (pictures.size > KEPT) {
        const [oldest, kept] = pictures.entries().next().value;
        pictures.delete(oldest);
        kept.then(({ url }) => url && URL.revokeObjectURL(url));
      }
    }
    return pictures.get(id);
  }

  function image(box, id, alt) {
    picture(id).then(({ url, fault }) => {
      if (box.dataset.id !== id) return;
      if (fault) { box.classList.add("lost"); box.prepend(make("p", "lost-words", "", make("b", "", desk.texts.frame_lost), make("span", "", fault))); return; }
      const img = make("img");
      img.alt = alt;
      img.onerror = () => { img.remove(); box.classList.add("lost"); box.prepend(make("p", "lost-words", desk.texts.frame_not_drawn)); };
      img.src = url;
      box.prepend(img);
    });
  }

  /* A frame that was never kept has its place and its reason; nothing is asked for, so nobody looked. */
  function notKept(box, frame) {
    box.classList.add("lost");
    box.prepend(make("p", "lost-words", "", make("b", "", desk.texts.frame_not_kept), make("span", "", frame.not_kept)));
  }

  function drawFrame() {
    const spot = $("desk-frame"), lead = desk.lead, x = desk.texts;
    if (!spot) return;
    const frames = lead.frames, frame = frames[desk.frame];
    if (!frame) { spot.replaceChildren(make("div", "desk-picture none", lead.no_frames)); return; }
    const box = make("div", "desk-picture");
    box.dataset.id = frame.id;
    box.style.setProperty("--ratio", frame.width && frame.height ? frame.width / frame.height : 16 / 9);
    for (const b of frame.boxes) {
      const mark = make("div", `box ${b.name}${b.top < 8 ? " low" : ""}`, "", make("span", "", b.label));
      for (const side of ["left", "top", "width", "height"]) mark.style[side] = `${b[side].toFixed(2)}%`;
      box.append(mark);
    }
    if (frame.not_kept) notKept(box, frame);
    else image(box, frame.id, [lead.title, frame.camera, frame.day].filter(Boolean).join(" "));
    const caption = make("p", "desk-caption", "", desk.button("‹", "before", "plain square"), make("span", "", [desk.fill(x.frame_of, { n: desk.frame + 1, all: frames.length }), frame.camera, frame.day, frame.note].filter(Boolean).join(" · ")), desk.button("›", "after", "plain square"));
    caption.firstChild.disabled = desk.frame === 0;
    caption.lastChild.disabled = desk.frame === frames.length - 1;
    caption.firstChild.setAttribute("aria-label", x.key_frame);
    caption.lastChild.setAttribute("aria-label", x.key_frame);
    spot.replaceChildren(box, caption);
    for (const [i, thumb] of [...document.querySelectorAll("#desk-strip [data-frame]")].entries()) {
      thumb.setAttribute("aria-current", String(i === desk.frame));
      // Sideways only: on a phone scrollIntoView would move the page.
      if (i === desk.frame) thumb.parentNode.scrollLeft = thumb.offsetLeft - (thumb.parentNode.clientWidth - thumb.offsetWidth) / 2;
    }
  }
  desk.drawFrame = drawFrame;

  function strip(lead) {
    const box = make("div", "desk-strip");
    box.id = "desk-strip";
    for (const [i, frame] of lead.frames.entries()) {
      const thumb = desk.button("", "", `desk-thumb${frame.is_own ? "" : " other"}`);
      thumb.dataset.frame = i;
      thumb.dataset.id = frame.id;
      thumb.title = [frame.camera, frame.day, frame.note, frame.not_kept].filter(Boolean).join(" · ");
      if (frame.camera) thumb.append(make("b", "", frame.camera));
      thumb.append(make("small", "", frame.at));
      if (frame.not_kept) { thumb.classList.add("lost"); thumb.append(make("span", "not-kept", desk.texts.thumb_not_kept)); }
      else image(thumb, frame.id, thumb.title);
      box.append(thumb);
    }
    box.hidden = lead.frames.length < 2;
    return box;
  }

  /* A row of looks for each camera; the names stand beside them where there are several. */
  function looks(lead) {
    const x = desk.texts, box = make("div", "desk-looks"), counts = { hit: 0, clear: 0, blind: 0 };
    box.append(make("small", "", x.looks));
    for (const one of lead.looks) {
      const row = make("div", "looks-row");
      for (const look of one.looks) { const tick = make("i", look.tone); tick.title = look.words; row.append(tick); counts[look.tone] += 1; }
      if (lead.looks.length > 1) { const name = make("span", "looks-camera", one.camera); name.title = one.camera; box.append(make("div", "looks-of", "", name, row)); } else box.append(row);
    }
    const said = Object.entries(counts).filter(([, n]) => n).map(([tone, n]) => make("span", `looks-key ${tone}`, `${x[`look_${tone}`]} ${n}`));
    box.append(lead.looks.length ? make("div", "looks-said", "", ...said) : make("span", "looks-said", x.looks_none));
    return box;
  }

  function head(lead) {
    const x = desk.texts, row = desk.rows.find((r) => r.id === lead.id);
    const lines = [make("div", "line", "", make("i", `dot ${lead.class}`), make("h2", "", lead.title), make("span", `tag state-${lead.state}`, lead.state_word), make("span", `tag review-${lead.review}`, lead.review_word), make("span", "desk-place", lead.place))];
    if (row) lines.push(make("div", "line desk-why", "", make("small", "", `${x.urgency} ${row.urgency}`), ...row.reasons.map((text) => make("span", "tag", text))));
    if (lead.reviewed) lines.push(make("p", "desk-reviewed", lead.reviewed));
    if (lead.held && !lead.is_mine) lines.push(make("p", "desk-held", desk.fill(x.colleague, { who: lead.held })));
    const box = make("header", "desk-head", "", ...lines);
    box.id = "desk-head";
    return box;
  }

  function actions() {
    const x = desk.texts;
    const said = make("p", "desk-said");
    said.id = "review-said";
    said.setAttribute("role", "status");
    if (!desk.current) return make("footer", "desk-actions idle", "", said);
    if (!desk.may) { said.textContent = x.look_only; return make("footer", "desk-actions", "", said); }
    const ask = make("div", "desk-ask");
    ask.id = "desk-ask";
    const buttons = make("div", "desk-buttons", "", desk.button(x.confirm, "confirmed", "plain verdict confirmed", "1"), desk.button(x.false, "false", "plain verdict", "2"), desk.button(x.permitted, "permitted", "plain verdict", "3"), desk.button(x.assign, "assign", "plain verdict", "4"));
    return make("footer", "desk-actions", "", ask, buttons, said);
  }

  desk.drawLead = (keep = false) => {
    const spot = $("review-lead"), facts = $("review-facts"), lead = desk.lead, x = desk.texts;
    if (!spot) return;
    if (!lead) {
      const said = $("review-said") ? $("review-said").textContent : "";
      const words = desk.current ? x.loading : desk.told && !desk.rows.length ? x.empty : desk.told ? x.pick : x.loading;
      spot.replaceChildren(make("div", "desk-nothing", words), actions());
      if (desk.may && said) desk.say(said, "good");
      facts.replaceChildren();
      return;
    }
    if (keep && $("desk-head")) {
      // News of the lead that is looked at: frames stay as they are unless there are others, and so does what is being typed.
      $("desk-head").replaceWith(head(lead));
      const ids = [...document.querySelectorAll("#desk-strip [data-frame]")].map((thumb) => thumb.dataset.id);
      if (ids.join() !== lead.frames.map((f) => f.id).join()) { $("desk-strip").replaceWith(strip(lead)); drawFrame(); }
    } else {
      const said = $("review-said") && desk.last === $("review-said").textContent ? desk.last : "";
      const frame = make("div", "desk-frame");
      frame.id = "desk-frame";
      const notes = lead.notes.map((text) => make("p", "desk-note", text));
      spot.replaceChildren(make("div", "desk-scroll", "", head(lead), frame, strip(lead), looks(lead), ...notes), actions());
      drawFrame();
      if (said) desk.say(said, "good");
    }
    facts.replaceChildren(...lead.sections.map(section));
  };

  desk.drawFault = (text) => {
    $("review-lead").replaceChildren(make("div", "desk-nothing bad", "", make("p", "", text), desk.button(desk.texts.retry, "retry")), actions());
    $("review-facts").replaceChildren();
  };

  function section(part) {
    const box = make("section", `part desk-part${part.tone ? ` ${part.tone}` : ""}`, "", make("h3", "", part.title));
    box.dataset.part = part.key;
    if (!part.rows.length) { box.append(make("p", "empty-line", part.empty)); return box; }
    for (const row of part.rows) {
      const value = make("span", `fact-value ${row.tone || ""}`);
      if (row.link) {
        const link = make("a", "", row.value);
        link.href = `/?lang=${g.lang}&selected=${row.link}`;
        value.append(link);
      } else value.textContent = row.value;
      if (row.small) value.append(make("small", "", row.small));
      if (row.tel) { const call = make("a", "tel", row.tel); call.href = `tel:${row.tel}`; value.append(call); }
      box.append(make("div", "fact", "", make("span", "fact-name", row.name), value));
    }
    return box;
  }

  /* --- what is asked before a word is sent ------------------------------------------------------------------------- */
  desk.drawAsk = () => {
    const box = $("desk-ask"), x = desk.texts;
    if (!box) return;
    const typing = document.activeElement && document.activeElement.id;
    desk.say("");
    if (!desk.asking) { box.replaceChildren(); return; }
    const parts = desk.asking === "assign" ? assigning() : saying();
    const send = desk.button(x.send, "submit", "primary", "⏎");
    box.replaceChildren(...parts, make("div", "ask-buttons", "", desk.button(x.cancel, "cancel", "plain", "Esc"), send));
    const focus = typing && $(typing) && box.contains($(typing)) ? $(typing) : desk.asking === "false" ? null : box.querySelector("input");
    if (focus) focus.focus(); else if (desk.asking === "false") $("review-queue").focus({ preventScroll: true });
    for (const button of document.querySelectorAll("#review .verdict")) button.classList.toggle("chosen", button.dataset.desk === desk.asking);
  };

  function field(id, words, value, set) {
    const input = make("input");
    input.id = id;
    input.type = "text";
    input.maxLength = 500;
    input.autocomplete = "off";
    input.placeholder = words;
    input.setAttribute("aria-label", words);
    input.value = value;
    input.addEventListener("input", () => set(input.value));
    return input;
  }

  function saying() {
    const x = desk.texts, said = desk.draft(), out = [make("p", "ask-what", desk.asking === "false" ? x.why_false : x.why_permitted)];
    if (desk.asking === "false") {
      const list = make("div", "ask-causes");
      list.setAttribute("role", "radiogroup");
      for (const [i, [cause, words]] of desk.causes.entries()) {
        const button = desk.button(words, "", `plain cause${said.cause === cause ? " chosen" : ""}`, (i + 1) % 10);
        button.dataset.cause = cause;
        button.setAttribute("role", "radio");
        button.setAttribute("aria-checked", String(said.cause === cause));
        list.append(button);
      }
      out.push(list);
    }
    out.push(field("desk-reason", x.reason, said.reason, (text) => { said.reason = text; }));
    return out;
  }

  const known = new Map();
  function assigning() {
    const x = desk.texts, said = desk.draft(), id = desk.current, list = make("div", "ask-list");
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", x.to_whom);
    const draw = () => {
      const words = said.find.trim().toLowerCase();
      const hits = (known.get(id) || []).filter((one) => !words || [one.name_zh, one.name_en, one.note, one.id].some((text) => String(text || "").toLowerCase().includes(words))).slice(0, 8);
      list.replaceChildren(...hits.map((one) => {
        const name = (g.lang === "en" && one.name_en) || one.name_zh;
        const button = desk.button(name, "", `plain recipient${said.to && said.to.kind === one.kind && said.to.id === one.id ? " chosen" : ""}`);
        button.append(make("small", "", [one.kind === "department" ? x.departments : x.person, one.note].filter(Boolean).join(" · ")));
        button.addEventListener("click", () => { said.to = { kind: one.kind, id: one.id, name }; draw(); $("desk-note").focus(); });
        return button;
      }));
      if (!hits.length) list.append(make("p", "empty-line", known.has(id) ? x.none_found : x.loading));
    };
    if (!known.has(id)) desk.get(`/review/lead/${id}/recipients.json`).then(({ recipients }) => { known.clear(); known.set(id, recipients); draw(); }).catch((fault) => desk.say(fault.message, "bad"));
    draw();
    const find = field("desk-find", x.find, said.find, (text) => { said.find = text; said.to = null; draw(); });
    // Arrows and Enter in the field choose the first hit, so that no hand leaves the keys.
    find.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !said.to && list.querySelector("button")) { event.preventDefault(); event.stopPropagation(); list.querySelector("button").click(); }
      if (event.key === "ArrowDown" && list.querySelector("button")) { event.preventDefault(); list.querySelector("button").focus(); }
    });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const all = [...list.querySelectorAll("button")];
      (all[all.indexOf(document.activeElement) + step] || $("desk-find")).focus();
    });
    return [make("p", "ask-what", x.to_whom), find, list, field("desk-note", x.note, said.note, (text) => { said.note = text; })];
  }
})();
