/* Forms that take out a file: it is fetched, so that a refusal is said on the page and not instead of it. The page of exports
   has a form with fields; other pages a button (dashboards/csv_download.py) that asks what it is for when the server does. */
(function () {
  "use strict";

  function say(form, text, tone) {
    const spot = form.querySelector("[data-message]");
    spot.textContent = text;
    spot.dataset.tone = tone;
    spot.hidden = !text;
  }

  /* A message of the server is "中文 / English"; the page's language is shown. */
  const half = window.geoapp.half = function (text) {
    const both = text.match(/^([^]*?[\u4e00-\u9fff][^]*?)\s*\/ ([A-Za-z][^\u4e00-\u9fff]*)$/);
    return both ? both[window.geoapp.lang === "en" ? 2 : 1] : text;
  };

  function address(form) {
    const asked = new FormData(form), query = new URLSearchParams(form.dataset.query || "");
    const format = asked.get("format");
    // A moment or window belongs to the layer that it was seen of.
    if (form.dataset.whenOf && asked.get("register") === form.dataset.whenOf) for (const [name, value] of new URLSearchParams(form.dataset.whenQuery)) query.set(name, value);
    for (const name of ["frame", "reason"]) if (asked.get(name)) query.set(name, asked.get(name).trim());
    if (["csv", "shp.zip"].includes(format)) query.set("encoding", asked.get("encoding"));
    const path = asked.get("register") ? `/export/${asked.get("register")}.${format}` : form.getAttribute("action");
    return `${path}?${query}`;
  }

  async function fetchFile(form) {
    const button = form.querySelector("[type=submit]");
    button.disabled = true;
    say(form, form.dataset.busy, "");
    try {
      const answer = await fetch(address(form));
      if (!answer.ok) {
        say(form, half((await answer.json()).error || form.dataset.failed), "bad");
        const why = form.querySelector("[data-why]");
        if (why && answer.status === 422) { why.hidden = false; why.querySelector("input").focus(); }
        return;
      }
      const name = (answer.headers.get("Content-Disposition") || "").match(/filename="([^"]+)"/);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = name ? name[1] : "geoapp.csv";
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60000);
      say(form, `${form.dataset.done} ${link.download}`, "good");
    } catch {
      say(form, form.dataset.failed, "bad");
    } finally {
      button.disabled = false;
    }
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.dataset.export) return;
    event.preventDefault();
    fetchFile(event.target);
  });
})();
