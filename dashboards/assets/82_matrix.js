/* The page of duties is drawn after the address was read: what #list or #chain names is shown once it is there. */
(function () {
  "use strict";

  let shown = "";
  const look = () => {
    const name = decodeURIComponent(location.hash.slice(1));
    if (!name || shown === location.href || !document.getElementById("matrix-found")) return;
    const place = document.getElementById(name);
    if (!place) return;
    shown = location.href;
    place.scrollIntoView({ block: "start" });
  };
  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
})();
