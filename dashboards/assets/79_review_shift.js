/* The handover: what changed since the last shift, the figures of this one, the note for the next, the notes of others. */
(function () {
  "use strict";

  const g = window.geoapp, desk = g.desk, make = desk.make;
  const $ = (id) => document.getElementById(id);
  let note = "", since = "";

  desk.countUnread = async () => {
    try { unread((await g.byItself(() => desk.get("/review/shift.json"))).unread); } catch (fault) { console.warn("handovers", fault); }
  };
  function unread(n) { $("review-unread").textContent = n ? String(n) : ""; }

  desk.openShift = () => {
    $("review-handover").showModal();
    since = "";
    draw();
  };

  async function draw(said = "") {
    const box = $("review-shift"), x = desk.texts;
    if (!box.firstChild) box.replaceChildren(make("p", "empty-line", x.loading));
    let told;
    try {
      told = await desk.get(`/review/shift.json${since ? `?since=${encodeURIComponent(since)}` : ""}`);
    } catch (fault) {
      box.replaceChildren(make("p", "desk-said", fault.message));
      box.firstChild.dataset.tone = "bad";
      return;
    }
    unread(told.unread);
    box.replaceChildren(changes(told), make("div", "shift-right", "", desk.may ? form(told, said) : null, handovers(told)));
  }

  function figures(list) {
    return make("div", "shift-figures", "", ...list.map(({ name, value, key }) => {
      const figure = make("span", `desk-figure ${key}`, "", make("b", "", value), make("small", "", name));
      figure.dataset.figure = key;
      return figure;
    }));
  }

  function changes(told) {
    const x = desk.texts, list = make("ul", "shift-changes");
    for (const one of told.changes) {
      const link = make("a", "", one.subject);
      link.href = one.select.startsWith("incident:") ? `/review?lang=${g.lang}&selected=${one.select}` : `/?lang=${g.lang}&selected=${one.select}`;
      list.append(make("li", `change-${one.change}`, "", make("time", "", one.at), make("span", "tag", one.words), link, make("small", "", one.detail)));
    }
    const totals = make("div", "shift-totals", "", ...told.totals.map(({ change, words, n }) => make("span", `tag change-${change}`, `${words} ${n}`)));
    return make("section", "shift-left", "", make("h3", "", desk.fill(x.since, { at: told.since })), make("p", "fine", told.basis), totals, told.changes.length ? list : make("p", "empty-line", x.no_changes));
  }

  function form(told, said) {
    const x = desk.texts, box = make("section", "shift-form"), from = make("select");
    from.id = "shift-from";
    from.setAttribute("aria-label", x.shift_from);
    const now = Date.now();
    from.append(new Option(since ? told.mine : told.since, "0"));
    for (const hours of [8, 12, 24]) from.append(new Option(`− ${desk.fill(x.hours, { n: hours })}`, String(hours)));
    if (since) from.value = desk.hoursBack;
    from.addEventListener("change", () => {
      const hours = Number(from.value);
      desk.hoursBack = from.value;
      since = hours ? new Date(now - hours * 3600000).toISOString() : "";
      draw();
    });
    const area = make("textarea");
    area.id = "shift-note";
    area.rows = 4;
    area.maxLength = 4000;
    area.placeholder = x.note_shift;
    area.setAttribute("aria-label", x.write);
    area.value = note;
    area.addEventListener("input", () => { note = area.value; });
    const line = make("p", "desk-said", said);
    line.setAttribute("role", "status");
    line.dataset.tone = "good";
    const go = desk.button(x.hand_over, "", "primary");
    go.addEventListener("click", async () => {
      if (!note.trim()) { line.textContent = x.note_empty; line.dataset.tone = "bad"; area.focus(); return; }
      go.disabled = true;
      try {
        await desk.send("/review/handovers", { note: note.trim(), shift_from: told.since_iso });
        note = "";
        draw(x.handed_over);
      } catch (fault) { line.textContent = fault.message; line.dataset.tone = "bad"; go.disabled = false; }
    });
    box.append(make("h3", "", x.write), make("label", "shift-from", "", make("small", "", x.shift_from), from), figures(told.figures), area, make("div", "ask-buttons", "", line, go));
    return box;
  }

  function handovers(told) {
    const x = desk.texts, box = make("section", "shift-notes", "", make("h3", "", x.handovers));
    if (!told.handovers.length) box.append(make("p", "empty-line", x.handovers_none));
    for (const one of told.handovers) {
      const card = make("article", `shift-note${one.is_mine || one.is_received ? "" : " unread"}`, "", make("div", "line", "", make("b", "", one.who), make("small", "", one.span)), make("p", "shift-words", one.note), figures(one.figures));
      card.dataset.handover = one.id;
      card.append(make("p", "fine", one.receipts.length ? desk.fill(x.received_by, { who: one.receipts.join(g.lang === "en" ? ", " : "、") }) : x.not_received));
      if (desk.may && !one.is_mine) {
        const take = desk.button(one.is_received ? x.received : x.receive, "", one.is_received ? "plain" : "primary");
        take.disabled = one.is_received;
        take.addEventListener("click", async () => {
          take.disabled = true;
          try { await desk.send(`/review/handovers/${one.id}/receipt`, {}); draw(); } catch (fault) { take.disabled = false; card.append(make("p", "desk-said", fault.message)); }
        });
        card.append(take);
      }
      box.append(card);
    }
    return box;
  }
})();
