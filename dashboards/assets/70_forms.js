/* Forms of the account pages: the CSRF token of the session goes along, answers are shown where they belong. */
(function () {
  "use strict";

  const csrf = () => (document.cookie.match(/(?:^|;\s*)_csrf_token=([^;]+)/) || [])[1] || "";

  function clear(form) {
    for (const spot of form.querySelectorAll("[data-problem], [data-message]")) { spot.textContent = ""; spot.hidden = true; }
    for (const field of form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  }

  function say(form, text, tone) {
    const spot = form.querySelector("[data-message]");
    if (!spot) return;
    spot.textContent = text;
    spot.dataset.tone = tone;
    spot.hidden = !text;
  }

  function show(form, { problems = {}, error = "", message = "" }) {
    let first = null;
    for (const [name, text] of Object.entries(problems)) {
      const spot = form.querySelector(`[data-problem="${CSS.escape(name)}"]`);
      if (!spot) { error = error || text; continue; }
      spot.textContent = text;
      spot.hidden = false;
      const field = spot.closest(".field")?.querySelector("input:not([type=hidden]), textarea");
      if (field) { field.setAttribute("aria-invalid", "true"); first = first || field; }
    }
    if (error || message) say(form, error || message, error ? "bad" : "good");
    if (first) first.focus();
  }

  async function ask(form) {
    clear(form);
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      const body = new URLSearchParams(new FormData(form));
      body.set("lang", window.geoapp.lang);
      const response = await fetch(form.getAttribute("action"), { method: "POST", body, headers: { "X-CSRFToken": csrf() } });
      const answer = await response.json();
      if (!response.ok) { show(form, answer); return; }
      if (answer.once) {
        form.classList.add("answered");
        const once = form.querySelector("[data-once]");
        once.hidden = false;
        once.querySelector("output").textContent = answer.once;
        form.closest("dialog")?.addEventListener("close", () => location.reload(), { once: true });
        once.querySelector("button").focus();
      } else if (answer.message && !form.closest("dialog")) {
        form.reset();
        show(form, answer);
        if (answer.then) setTimeout(() => location.assign(answer.then), 900);
      } else location.reload();
    } catch {
      say(form, form.dataset.failed || "", "bad");
    } finally {
      button.disabled = false;
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.ask) {
      event.preventDefault();
      ask(form);
    } else if (form.dataset.csrf) {
      // A form that leaves the page carries the token as a field.
      let field = form.elements.namedItem("csrf");
      if (!field) { field = document.createElement("input"); field.type = "hidden"; field.name = "csrf"; form.append(field); }
      field.value = csrf();
    }
  });

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) {
      const dialog = document.getElementById(opener.dataset.dialog), form = dialog.querySelector("form");
      clear(form);
      if (opener.dataset.action) form.setAttribute("action", opener.dataset.action);
      for (const spot of dialog.querySelectorAll("[data-who]")) spot.textContent = opener.dataset.who || "";
      for (const [id, props] of Object.entries(JSON.parse(opener.dataset.fill || "{}"))) window.dash_clientside.set_props(id, props);
      dialog.showModal();
      return;
    }
    if (event.target.closest("[data-dialog-close]")) event.target.closest("dialog").close();
    const copier = event.target.closest("[data-copy]");
    if (copier) {
      const output = copier.parentElement.querySelector("output");
      navigator.clipboard?.writeText(output.textContent).then(() => { copier.textContent = copier.dataset.copied; }, () => {});
      getSelection().selectAllChildren(output);
    }
    // A menu closes when one looks elsewhere.
    const menu = document.getElementById("user-menu");
    if (menu && menu.open && !menu.contains(event.target)) menu.open = false;
  });

  document.addEventListener("keydown", (event) => {
    const menu = document.getElementById("user-menu");
    if (event.key === "Escape" && menu && menu.open) { menu.open = false; menu.querySelector("summary").focus(); }
  });
})();
