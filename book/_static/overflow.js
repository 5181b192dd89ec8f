// Boxes of wide tables, figures and formulas: they say on which sides there is more, and can be scrolled with the keys if so.
(() => {
  "use strict";

  const BOXES = ".la-scroll, .pst-scrollable-table-container, .bd-article div.math"; // ours, and the theme's

  function look(box) {
    const more = box.scrollWidth - box.clientWidth;
    const sides = [box.scrollLeft > 1 && "left", box.scrollLeft < more - 1 && "right"];
    box.dataset.more = more > 1 ? sides.filter(Boolean).join(" ") : "";
    if (more > 1) box.tabIndex = 0;
  }

  function begin() {
    const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => look(target.closest(BOXES))));
    for (const box of document.querySelectorAll(BOXES)) {
      for (const one of [box, ...box.children]) sizes.observe(one);
      box.addEventListener("scroll", () => look(box), { passive: true });
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
