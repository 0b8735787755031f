/* The review of a lead: what the officer says is sent, and the drawer is read again. Whether they may, the server says. */
(function () {
  "use strict";

  const g = window.geoapp;

  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".review-desk [data-review]");
    if (!button) return;
    const desk = button.closest(".review-desk"), texts = JSON.parse(desk.dataset.texts);
    const reason = desk.querySelector("input"), said = desk.querySelector("[role=status]");
    const review = button.dataset.review;
    if (review === "false" && reason.value.trim().length < 2) {
      said.textContent = texts.say_why;
      reason.focus();
      return;
    }
    const buttons = [...desk.querySelectorAll("[data-review]")], open = buttons.filter((one) => !one.disabled);
    for (const one of buttons) one.disabled = true;
    said.textContent = texts.sending;
    try {
      const answer = await fetch(`/incidents/${desk.dataset.incident}/review`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRFToken": g.csrf() },
        body: JSON.stringify({ review, reason: reason.value.trim(), was: desk.dataset.was }),
      });
      if (answer.ok || answer.status === 409) {
        // Also where somebody else was faster: the drawer shows what they said.
        if (g.city && g.city.map) { g.city.refreshIncidents(false); g.city.select("incident", desk.dataset.incident, { fly: false }); }
        g.tick("live-tick", {});
        return;
      }
      const [zh, en] = ((await answer.json()).error || texts.failed).split(" / ");
      said.textContent = g.lang === "en" ? en || zh : zh;
    } catch {
      said.textContent = texts.failed;
    }
    for (const one of open) one.disabled = false;
  });
})();
