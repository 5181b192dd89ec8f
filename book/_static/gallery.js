// The gallery's menus: only surfaces of the chosen chapter, dataset and model are shown. Without this script all are.
(() => {
  "use strict";

  const bar = document.querySelector(".la-filters");
  const cards = [...document.querySelectorAll(".la-gallery > li")];
  if (!bar || !cards.length) return;
  const menus = [...bar.querySelectorAll("select")];

  function filter() {
    const chosen = menus.filter((menu) => menu.value);
    for (const card of cards) card.hidden = !chosen.every((menu) => card.dataset[menu.dataset.filter] === menu.value);
    const left = cards.filter((card) => !card.hidden).length;
    bar.querySelector("output").textContent = left ? `${left} of ${cards.length} landscapes` : "No landscape matches";
  }

  for (const menu of menus) menu.addEventListener("change", filter);
  window.addEventListener("pageshow", filter); // a browser that goes back to the page may have kept the choices
  bar.hidden = false;
})();
