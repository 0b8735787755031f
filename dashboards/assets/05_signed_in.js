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

  const plain = window.fetch.bind(window);
  window.fetch = async (...asked) => {
    const answer = await plain(...asked);
    if (answer.status === 401 && new URL(answer.url || "/", location.href).origin === location.origin) g.signIn();
    return answer;
  };

  g.csrf = () => (document.cookie.match(/(?:^|;\s*)_csrf_token=([^;]+)/) || [])[1] || "";
})();
