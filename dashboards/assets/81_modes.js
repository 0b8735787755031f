/* The page of modes: one button ticks all cameras of the page, and again none. */
(function () {
  "use strict";

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-tick-all]");
    if (!button) return;
    const boxes = [...button.form.querySelectorAll(`input[type=checkbox][name="${CSS.escape(button.dataset.tickAll)}"]`)];
    const wanted = !boxes.every((box) => box.checked);
    // A click each, so that what draws the boxes knows.
    for (const box of boxes) if (box.checked !== wanted) box.click();
  });
})();
