// Brings the book's 3-D scenes to life: when a scene comes near the window, its data and the viewer (once for the
// page) are loaded, and a view is put over the still picture. Where anything is missing, the picture stays.
(() => {
  "use strict";

  const VIEWER = new URL("vtk-viewer.js", document.currentScript.src).href;
  const NEAR = "400px 0px"; // how far outside the window a scene starts to load
  const PATIENCE = 20; // seconds until a scene that does not show is given up
  const CONTEXTS = 8; // scenes that are live at once; browsers allow about sixteen, phones eight or more
  const STRIDE = 200; // milliseconds for one step of a path

  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

  const scripts = new Map();
  function load(source) {
    if (!scripts.has(source)) {
      scripts.set(source, new Promise((done, fail) => {
        const script = document.createElement("script");
        script.src = source;
        script.onload = done;
        script.onerror = () => fail(new Error(`not loaded: ${source}`));
        document.head.append(script);
      }));
    }
    return scripts.get(source);
  }

  function canDraw() {
    // The viewer would open whatever address the page's own carries under these names.
    const address = new URLSearchParams(location.search);
    if (address.has("url") || address.has("fileURL")) return false;
    const context = document.createElement("canvas").getContext("webgl2");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(context);
  }

  function unpack(stage, data) {
    if (!data?.startsWith("UEsDB")) throw new Error("no scene data"); // how a zip file begins in base64
    // The viewer would follow the window's size by itself, down to none; `fit` does that with more care.
    const listen = window.addEventListener;
    window.addEventListener = (kind, ...rest) => kind === "resize" || listen.call(window, kind, ...rest);
    try {
      window.OfflineLocalView.load(stage, { base64Str: data });
    } finally {
      window.addEventListener = listen;
    }
    return window.renderWindow;
  }

  // The viewer gives no sign when it is done: the scene is there when every actor has its points.
  async function shown(renderWindow) {
    for (const end = Date.now() + 1000 * PATIENCE; Date.now() < end; await pause(30)) {
      const renderer = renderWindow.getRenderers().find((one) => one.getActors().length);
      const actors = renderer?.getActors() ?? [];
      const ready = (actor) => actor.getMapper()?.getInputData()?.getPoints()?.getNumberOfPoints();
      if (actors.length && actors.every(ready)) return renderer;
    }
    throw new Error("the scene did not come up in time");
  }

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  // Scenes that stand beside each other, or one alone: what holds for all of them, and the controls that change it.
  function together(figures, bar, number) {
    const abouts = figures.map((figure) => JSON.parse(figure.dataset.about));
    const [azimuth, elevation, distance, ...target] = abouts[0].view;
    const view = { azimuth, elevation, distance, target };
    const state = { view, last: view, linked: true, height: abouts[0].height, tall: 1, at: Infinity, spot: null };
    const members = new Map(); // of the scenes that have come up
    const walks = abouts.flatMap((about) => about.walk ?? []);
    const epochs = walks.every((walk) => walk.name === walks[0].name); // otherwise their steps are counted
    const times = (walk) => (epochs ? walk.at : walk.at.map((_, step) => step));
    const group = {
      state,
      change(next) {
        if ("spot" in next && String(next.spot) === String(state.spot)) return;
        Object.assign(state, next);
        for (const member of members.values()) "spot" in next ? member.tell() : member.ask();
      },
      stepOf: ({ walk }) => (walk ? Math.max(0, times(walk).findLastIndex((time) => time <= state.at)) : 0),
      mark(figure, now, reason = "") {
        figure.dataset.state = now;
        if (reason) figure.dataset.reason = reason;
        const states = figures.map((one) => one.dataset.state);
        const all = states.includes("live") ? "live" : states.every((one) => one === "failed") ? "failed" : "still";
        if (all !== "live") stop();
        bar.dataset.state = all;
      },
      members,
    };

    const settings = make("div", { className: "la-settings" });
    if (abouts[0].switch) {
      const choices = ["log", "linear"].map((value) => {
        const checked = value === state.height;
        const input = make("input", { type: "radio", name: `la-height-${number}`, value, checked });
        input.addEventListener("change", () => group.change({ height: value }));
        return make("label", {}, input, value);
      });
      settings.append(make("fieldset", {}, make("legend", { textContent: "Height" }), ...choices));
    }
    const tall = make("input", { type: "range", min: -2, max: 1, step: 0.25, value: 0 });
    const factor = make("span");
    function stretch() {
      factor.textContent = `×${Number((2 ** tall.value).toPrecision(2))}`;
      tall.setAttribute("aria-valuetext", factor.textContent);
      group.change({ tall: 2 ** tall.value });
    }
    tall.addEventListener("input", stretch);
    stretch();
    settings.append(make("label", {}, "Vertical scale", tall, factor));
    if (figures.length > 1) {
      const linked = make("input", { type: "checkbox", checked: true });
      linked.addEventListener("change", () => group.change({ linked: linked.checked, view: state.last }));
      settings.append(make("label", {}, linked, "Turn together"));
    }
    const walker = walks.length ? walkable() : null;
    bar.replaceChildren(settings, ...(walker ? [walker.bar] : []));
    bar.addEventListener("keydown", (event) => event.stopPropagation()); // the theme turns pages with the arrow keys
    function stop() {
      walker?.stop();
    }

    // Paths can be walked: a slider and a button move the balls, and the tubes reach as far as the balls have come.
    function walkable() {
      const all = [...new Set(walks.flatMap(times))].sort((a, b) => a - b);
      const last = all.length - 1;
      const says = (walk, step) => (epochs ? walk.says[step] : String(step));
      const names = new Map(walks.flatMap((walk) => times(walk).map((time, step) => [time, says(walk, step)])));
      const name = epochs ? walks[0].name : "step";
      const calm = window.matchMedia("(prefers-reduced-motion: reduce)"); // then every press is one step
      const word = () => (calm.matches ? "Next" : "Play");
      const button = make("button", { type: "button", textContent: word(), title: "Follow the path from its start" });
      const slider = make("input", { type: "range", min: 0, max: last, value: last });
      const said = make("output");
      let timer = 0;

      function tell() {
        said.textContent = `${name} ${names.get(all[slider.value])}`;
        slider.setAttribute("aria-valuetext", said.textContent);
      }
      function show(step) {
        slider.value = step;
        tell();
        group.change({ at: all[step] });
      }
      function stop() {
        clearInterval(timer);
        timer = 0;
        button.textContent = word();
      }
      function go() {
        const step = Number(slider.value);
        if (step === last) stop();
        else show(step + 1);
      }
      function play() {
        const ended = Number(slider.value) === last;
        if (ended) show(0);
        if (calm.matches) {
          if (!ended) go();
          return;
        }
        timer = setInterval(go, STRIDE);
        button.textContent = "Pause";
      }
      button.addEventListener("click", () => (timer ? stop() : play()));
      calm.addEventListener("change", stop);
      slider.setAttribute("aria-label", `Walk the path: ${name}`);
      slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
      tell();
      return { bar: make("div", { className: "la-walk" }, button, slider, said), stop };
    }
    return group;
  }

  async function enliven(figure, group) {
    const box = figure.querySelector(".la-view");
    const stage = make("div", { className: "la-live" });
    try {
      group.mark(figure, "loading");
      await load(new URL(figure.dataset.src, document.baseURI).href);
      await load(VIEWER); // last, because the viewer takes over the page unless it is used at once
      box.append(stage);
      const [data, readings] = window.laScenes[figure.dataset.scene] ?? [];
      const renderWindow = unpack(stage, data);
      renderWindow.getInteractor().unbindEvents(); // its keys, wheel and touches would act on the whole page
      stage.firstElementChild.removeAttribute("tabindex");
      stage.firstElementChild.style.touchAction = "auto";
      const renderer = await shown(renderWindow);
      group.members.set(figure, window.laLandscape(figure, stage, renderWindow, renderer, readings, group));
      group.mark(figure, "live");
    } catch (error) {
      stage.remove();
      throw error;
    }
  }

  function begin() {
    const figures = [...document.querySelectorAll(".la-scene[data-src]")];
    const groups = new Map();
    const near = new Set();
    let drawable;

    for (const bar of document.querySelectorAll(".la-controls")) {
      const whole = bar.closest(".la-scene") ?? bar.nextElementSibling; // one scene, or the row below the bar
      const members = figures.filter((figure) => whole?.contains(figure));
      if (!members.length) continue;
      const group = together(members, bar, groups.size);
      for (const figure of members) {
        groups.set(figure, group);
        group.mark(figure, "still");
      }
    }

    // The scenes nearest to the middle of the window are live; when they are too many, the farthest sleep.
    function away(figure) {
      const { top, bottom } = figure.getBoundingClientRect();
      return Math.abs((top + bottom) / 2 - window.innerHeight / 2);
    }
    async function show(figure) {
      const group = groups.get(figure);
      if (!near.has(figure) || figure.dataset.state !== "still") return;
      const others = figures.filter((one) => one.dataset.state === "live").sort((a, b) => away(b) - away(a));
      for (const other of others.slice(0, Math.max(0, others.length + 1 - CONTEXTS))) {
        if (near.has(other) && away(other) <= away(figure)) return;
        groups.get(other).members.get(other).sleep();
      }
      drawable ??= canDraw();
      if (!drawable) group.mark(figure, "failed", "no WebGL"); // the picture stays
      else if (group.members.has(figure)) group.members.get(figure).wake();
      else await enliven(figure, group);
    }

    let queue = Promise.resolve(); // one after the other, because the viewer loads into one shared place
    function ask(figure) {
      queue = queue.then(() => show(figure)).catch((error) => groups.get(figure).mark(figure, "failed", String(error)));
    }
    const refresh = () => [...near].sort((a, b) => away(a) - away(b)).forEach(ask);
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) near.add(target);
        else near.delete(target);
      }
      refresh();
    }, { rootMargin: NEAR });
    for (const figure of groups.keys()) observer.observe(figure);
    let settled = 0; // a scene may come to the middle of the window without entering it
    window.addEventListener("scroll", () => {
      clearTimeout(settled);
      settled = setTimeout(refresh, 150);
    }, { passive: true });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
