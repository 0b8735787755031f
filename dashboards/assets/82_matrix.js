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
    // The page's own box, not scrollIntoView: that would push the bars of the screen out of sight as well.
    const box = place.closest(".table-page");
    box.scrollTop += place.getBoundingClientRect().top - box.getBoundingClientRect().top - 8;
  };
  new MutationObserver(look).observe(document.documentElement, { childList: true, subtree: true });
})();
