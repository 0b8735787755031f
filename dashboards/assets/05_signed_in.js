/* Whoever is not signed in any more goes to the sign-in, and comes back to where they were. */
(function () {
  "use strict";

  const g = window.geoapp;
  let leaving = false;

  g.signIn = () => {
    if (leaving) return;
    leaving = true;
    location.assign(`/signin?lang=${g.lang}&next=${encodeURIComponent(location.pathname + location.search)}`);
  };

  /* What the page asks by itself (timers, the stream's news) says so: it does not keep a session that nobody uses. */
  const TICKS = new Set(["slow-tick.data", "live-tick.data", "lens-counts.data", "imports-poll.n_intervals"]);
  let alone = false;
  g.byItself = (work) => { alone = true; try { return work(); } finally { alone = false; } };

  function isByItself(address, body) {
    if (alone) return true;
    if (typeof body !== "string" || !String(address.url || address).includes("/_dash-update-component")) return false;
    const changed = JSON.parse(body).changedPropIds || [];
    return changed.length > 0 && changed.every((name) => TICKS.has(name));
  }

  const plain = window.fetch.bind(window);
  window.fetch = async (address, options = {}) => {
    if (isByItself(address, options.body)) {
      const headers = new Headers(options.headers);
      headers.set("X-By-Itself", "1");
      options = { ...options, headers };
    }
    const answer = await plain(address, options);
    if (answer.status === 401 && new URL(answer.url || "/", location.href).origin === location.origin) g.signIn();
    return answer;
  };

  g.csrf = () => (document.cookie.match(/(?:^|;\s*)_csrf_token=([^;]+)/) || [])[1] || "";
})();
