// Tables of claims: a button in the head of the verdicts sorts them. Without this script the order is that of the page.
(() => {
  "use strict";

  const ORDER = ["la-supported", "la-contradicted", "la-inconclusive"];
  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
  const place = (row) => ORDER.findIndex((outcome) => row.classList.contains(outcome));

  function makeSortable(table) {
    const head = table.querySelector("thead th:nth-child(2)");
    const rows = [...table.tBodies[0].rows];
    if (new Set(rows.map(place)).size < 2) return;
    const button = document.createElement("button");
    button.type = "button";
    button.title = "Sort by verdict";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const order = NEXT[head.getAttribute("aria-sort")];
      const sign = { none: 0, ascending: 1, descending: -1 }[order];
      head.setAttribute("aria-sort", order);
      table.tBodies[0].append(...[...rows].sort((one, other) => sign * (place(one) - place(other))));
    });
  }

  function begin() {
    document.querySelectorAll("table.la-claims").forEach(makeSortable);
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
