// The labels of scenes: none is cut off by the edge of its picture, and of two that would overlap only one is shown.
(() => {
  "use strict";

  const APART = 3; // pixels between two labels
  const rank = ({ className, dataset }) => (className === "la-name" ? 0 : dataset.axis === "z" ? 1 : 2);

  // How far to shift an interval so that it lies inside another.
  const inside = (low, high, least, most) => Math.max(least - low, 0) + Math.min(most - high, 0);

  function tidy(box) {
    const edge = box.getBoundingClientRect();
    const labels = [...box.querySelectorAll(".la-labels span")].filter((one) => one.getClientRects().length);
    for (const { style } of labels) style.visibility = style.translate = "";
    const found = labels.map((label) => ({ label, rect: label.getBoundingClientRect() }));
    const kept = [];
    for (const { label, rect } of found.sort((a, b) => rank(a.label) - rank(b.label))) {
      const at = [label.style.left, label.style.top].map(parseFloat);
      const away = at.some((share) => share < 0 || share > 100); // its place is outside the picture
      const x = inside(rect.left, rect.right, edge.left, edge.right);
      const y = inside(rect.top, rect.bottom, edge.top, edge.bottom);
      const [left, right, top, bottom] = [rect.left + x, rect.right + x, rect.top + y, rect.bottom + y];
      const meets = (other) => left < other.right + APART && right > other.left - APART
        && top < other.bottom && bottom > other.top;
      if (away || kept.some(meets)) label.style.visibility = "hidden";
      else kept.push({ left, right, top, bottom });
      if (x || y) label.style.translate = `${x}px ${y}px`;
    }
  }

  function begin() {
    const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => tidy(target)));
    for (const box of document.querySelectorAll(".la-view")) sizes.observe(box);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
  window.laTidy = tidy;
})();
