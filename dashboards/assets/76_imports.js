/* The page of imports: a corrected workbook is sent as it is, and the answer is said under the form. */
(function () {
  "use strict";

  const g = window.geoapp;

  /* Dash draws no file input: it is put in when the form is first looked at. */
  function fitted(form) {
    const spot = form.querySelector("[data-file-spot]");
    if (!spot || spot.firstChild) return;
    const input = document.createElement("input");
    input.type = "file";
    input.accept = ".xlsx";
    input.className = "file-input";
    input.addEventListener("change", () => {
      const [file] = input.files;
      form.querySelector(".chosen").textContent = file ? `${file.name} · ${(file.size / 1000).toFixed(1)} kB` : form.dataset.nothing;
      say(form, "", "");
    });
    spot.append(input);
  }

  new MutationObserver(() => { for (const form of document.querySelectorAll("[data-hand-in]")) fitted(form); })
    .observe(document.documentElement, { childList: true, subtree: true });

  function say(form, text, tone) {
    const spot = form.querySelector("[data-message]");
    spot.textContent = text;
    spot.dataset.tone = tone;
    spot.hidden = !text;
  }

  async function send(form) {
    const [file] = form.querySelector("input[type=file]")?.files || [];
    if (!file) { say(form, form.dataset.nothing, "bad"); return; }
    if (file.size > Number(form.dataset.most)) { say(form, form.dataset.tooLarge, "bad"); return; }
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    try {
      const answer = await fetch(`${form.getAttribute("action")}?lang=${g.lang}`, {
        method: "POST", body: file, headers: { "X-CSRFToken": g.csrf(), "Content-Type": "application/octet-stream" },
      });
      const said = await answer.json();
      if (answer.ok) say(form, `${said.message}\n${said.command}`, "good"); else say(form, said.error || form.dataset.failed, "bad");
    } catch {
      say(form, form.dataset.failed, "bad");
    } finally {
      button.disabled = false;
    }
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.dataset.handIn) return;
    event.preventDefault();
    send(event.target);
  });
})();
