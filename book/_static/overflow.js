// Boxes that scroll sideways: they take the keyboard's focus while they have more to show, and those of tables,
// figures and formulas fade on the sides where it is.
(() => {
  "use strict";

  const FADING = ".la-scroll, .pst-scrollable-table-container, .bd-article div.math"; // ours, and the theme's
  const BOXES = `${FADING}, .bd-article pre, .bd-article .cell_output, .bd-article .cell_output > .output,
    .bd-article table.docutils, .bd-article dl.py`;
  const given = new WeakSet(); // boxes whose tabindex is ours

  function look(box) {
    const more = box.scrollWidth - box.clientWidth;
    const fades = box.matches(FADING);
    const scrolls = more > 1 && (fades || /auto|scroll/.test(getComputedStyle(box).overflowX));
    if (fades) {
      const sides = [box.scrollLeft > 1 && "left", box.scrollLeft < more - 1 && "right"];
      box.dataset.more = scrolls ? sides.filter(Boolean).join(" ") : "";
    }
    if (scrolls && box.tabIndex < 0) {
      box.tabIndex = 0;
      given.add(box);
    } else if (!scrolls && given.delete(box)) box.removeAttribute("tabindex");
  }

  function begin() {
    const boxes = [...document.querySelectorAll(BOXES)];
    const all = () => boxes.forEach(look);
    const sizes = new ResizeObserver((entries) => new Set(entries.map(({ target }) => target.closest(BOXES))).forEach(look));
    for (const box of boxes) {
      for (const one of [box, ...box.children]) sizes.observe(one);
      if (box.matches(FADING)) box.addEventListener("scroll", () => look(box), { passive: true });
    }
    all();
    document.fonts.ready.then(all); // another font makes lines longer and moves no box
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
