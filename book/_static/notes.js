// The notes of numbers open and close by themselves (reading.css); the escape key closes them too.
(() => {
  "use strict";

  document.addEventListener("keydown", ({ key }) => {
    if (key !== "Escape") return;
    for (const number of document.querySelectorAll(".la-quantity:is(:hover, :focus)")) {
      number.dataset.closed = "";
      for (const event of ["pointerleave", "blur"]) {
        number.addEventListener(event, () => delete number.dataset.closed, { once: true });
      }
    }
  });
})();
