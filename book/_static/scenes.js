// Makes the book's 3-D scenes live: when a scene comes near the window, its data and the viewer (once for the page)
// are loaded, and a view covers the still picture. If anything is missing, the picture stays.
(() => {
  "use strict";

  const VIEWER = new URL("vtk-viewer.js", document.currentScript.src).href;
  const NEAR = "400px 0px"; // how far outside the window a scene starts to load
  const PATIENCE = 20; // seconds until a scene that does not appear counts as failed
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
    // The viewer opens any address that the page's own address carries under these names.
    const address = new URLSearchParams(location.search);
    if (address.has("url") || address.has("fileURL")) return false;
    const context = document.createElement("canvas").getContext("webgl2");
    context?.getExtension("WEBGL_lose_context")?.loseContext();
    return Boolean(context);
  }

  function unpack(live, data) {
    if (!data?.startsWith("UEsDB")) throw new Error("no scene data"); // the first letters of a zip file in base64
    // The viewer follows the window's size, even down to zero; `resize` in live_scene.js does not.
    const listen = window.addEventListener;
    window.addEventListener = (kind, ...rest) => kind === "resize" || listen.call(window, kind, ...rest);
    try {
      window.OfflineLocalView.load(live, { base64Str: data });
    } finally {
      window.addEventListener = listen;
    }
    return window.renderWindow;
  }

  // The viewer does not tell when it is done: a scene is ready when every actor has its points.
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

  // Scenes beside each other, or one alone: the state that they share, and the controls that change it.
  function createGroup(figures, bar, number) {
    const abouts = figures.map((figure) => JSON.parse(figure.dataset.about));
    const view = abouts[0].camera;
    const state = { view, last: view, linked: true, scale: abouts[0].scales[0], stretch: 1, at: Infinity, selected: null };
    const members = new Map(); // the scenes that are ready
    const paths = abouts.flatMap((about) => about.path ?? []);
    const epochs = paths.every((path) => path.unit === paths[0].unit); // otherwise the slider counts steps
    const times = (path) => (epochs ? path.values : path.values.map((_, step) => step));
    const group = {
      state,
      change(next) {
        if ("selected" in next && String(next.selected) === String(state.selected)) return;
        Object.assign(state, next);
        for (const member of members.values()) "selected" in next ? member.showReading() : member.requestDraw();
      },
      stepOf: ({ path }) => (path ? Math.max(0, times(path).findLastIndex((time) => time <= state.at)) : 0),
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
    if (abouts[0].scales.length > 1) {
      const choices = [...abouts[0].scales].sort().reverse().map((value) => { // symlog, log, linear
        const checked = value === state.scale;
        const input = make("input", { type: "radio", name: `la-scale-${number}`, value, checked });
        input.addEventListener("change", () => group.change({ scale: value }));
        return make("label", {}, input, value === "symlog" ? "symmetric log" : value);
      });
      settings.append(make("fieldset", {}, make("legend", { textContent: "Height" }), ...choices));
    }
    const vertical = make("input", { type: "range", min: -2, max: 1, step: 0.25, value: 0 });
    const factor = make("span");
    function stretch() {
      factor.textContent = `×${Number((2 ** vertical.value).toPrecision(2))}`;
      vertical.setAttribute("aria-valuetext", factor.textContent);
      group.change({ stretch: 2 ** vertical.value });
    }
    vertical.addEventListener("input", stretch);
    stretch();
    settings.append(make("label", {}, "Vertical scale", vertical, factor));
    if (figures.length > 1) {
      const linked = make("input", { type: "checkbox", checked: true });
      linked.addEventListener("change", () => group.change({ linked: linked.checked, view: state.last }));
      settings.append(make("label", {}, linked, "Turn together"));
    }
    const walker = paths.length ? pathControls() : null;
    bar.replaceChildren(settings, ...(walker ? [walker.bar] : []));
    bar.addEventListener("keydown", (event) => event.stopPropagation()); // the theme turns pages with the arrow keys
    function stop() {
      walker?.stop();
    }

    // A slider and a button move the balls along their paths; the tubes end at the balls.
    function pathControls() {
      const all = [...new Set(paths.flatMap(times))].sort((a, b) => a - b);
      const last = all.length - 1;
      const textOf = (path, step) => (epochs ? path.texts[step] : String(step));
      const names = new Map(paths.flatMap((path) => times(path).map((time, step) => [time, textOf(path, step)])));
      const name = epochs ? paths[0].unit : "step";
      const calm = window.matchMedia("(prefers-reduced-motion: reduce)"); // if so, every press is one step
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

  async function activate(figure, group) {
    const box = figure.querySelector(".la-view");
    const live = make("div", { className: "la-live" });
    try {
      group.mark(figure, "loading");
      await load(new URL(figure.dataset.src, document.baseURI).href);
      await load(VIEWER); // last: a viewer that is not used at once takes over the page
      box.append(live);
      const [data, readings] = window.laScenes[figure.dataset.scene] ?? [];
      const renderWindow = unpack(live, data);
      renderWindow.getInteractor().unbindEvents(); // its keys, wheel and touches act on the whole page
      live.firstElementChild.removeAttribute("tabindex");
      live.firstElementChild.style.touchAction = "auto";
      const renderer = await shown(renderWindow);
      group.members.set(figure, window.laLiveScene(figure, live, renderWindow, renderer, readings, group));
      group.mark(figure, "live");
    } catch (error) {
      live.remove();
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
      const group = createGroup(members, bar, groups.size);
      for (const figure of members) {
        groups.set(figure, group);
        group.mark(figure, "still");
      }
    }

    // The scenes nearest to the middle of the window are live; if there are too many, the farthest sleep.
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
      else await activate(figure, group);
    }

    let queue = Promise.resolve(); // one after the other: the viewer has one place for what it loads
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
    let settled = 0; // a scene can reach the middle of the window without entering it
    window.addEventListener("scroll", () => {
      clearTimeout(settled);
      settled = setTimeout(refresh, 150);
    }, { passive: true });
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
