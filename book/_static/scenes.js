// Brings the book's 3-D scenes to life: when a scene comes near the window, its data and the viewer (once for the
// page) are loaded, and a view is put over the still picture. Where anything is missing, the picture stays.
(() => {
  "use strict";

  const VIEWER = new URL("vtk-viewer.js", document.currentScript.src).href;
  const NEAR = "400px 0px"; // how far outside the window a scene starts to load
  const PATIENCE = 20; // seconds until a scene that does not show is given up
  const CONTEXTS = 6; // scenes that are live at once; browsers allow about sixteen, phones eight
  const STEP = 6; // degrees for one press of an arrow key
  const STRIDE = 200; // milliseconds for one step of a path
  const HALF_VIEW = Math.tan((15 * Math.PI) / 180); // the camera's view angle is 30 degrees

  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const add = (a, b, factor = 1) => a.map((value, i) => value + factor * b[i]);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

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

  // Where a camera stands that turns around a target: angles in degrees, the horizon always level.
  function frame({ azimuth, elevation, distance, target }) {
    const [a, e] = [azimuth, elevation].map((angle) => (angle * Math.PI) / 180);
    const back = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
    const right = [-Math.sin(a), Math.cos(a), 0];
    const up = [-Math.sin(e) * Math.cos(a), -Math.sin(e) * Math.sin(a), Math.cos(e)];
    return { back, right, up, position: add(target, back, distance) };
  }

  // The labels stand at the edges of the box that are nearest to the viewer (α, β) and leftmost (the height).
  function place(labels, view, aspect) {
    const { back, right, up, position } = frame(view);
    const see = (point) => {
      const away = add(point, position, -1);
      const half = HALF_VIEW * -dot(away, back);
      return [0.5 + dot(away, right) / half / aspect / 2, 0.5 - dot(away, up) / half / 2];
    };
    const corners = [[-1, -1], [-1, 1], [1, -1], [1, 1]];
    for (const label of labels) {
      const at = Number(label.dataset.at);
      const out = label.className === "la-name" ? 0.66 : 0.56;
      let point;
      if (label.dataset.axis === "x") point = [at, Math.sign(position[1]) * out, 0];
      else if (label.dataset.axis === "y") point = [Math.sign(position[0]) * out, at, 0];
      else {
        const edges = corners.map(([x, y]) => [x / 2, y / 2, at]);
        const left = edges.reduce((a, b) => (see(b)[0] < see(a)[0] ? b : a));
        point = [left[0] * 1.05, left[1] * 1.05, at];
      }
      const [x, y] = see(point);
      label.style.left = `${100 * x}%`;
      label.style.top = `${100 * y}%`;
    }
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

  // A path can be walked: a slider and a button move the ball, and the tube reaches as far as the ball has come.
  function walkable(bar, renderer, draw) {
    const { name, at, points, rings, tube, ball } = JSON.parse(bar.dataset.walk);
    const last = points.length - 1;
    const actors = renderer.getActors();
    const mesh = actors[tube].getMapper().getInputData();
    const whole = mesh.getStrips().getData().slice(); // for each strip its number of points, then their numbers
    const button = document.createElement("button");
    const slider = document.createElement("input");
    const said = document.createElement("output");
    let timer = 0;

    function show(step) {
      const cells = [];
      for (let i = 0; i < whole.length; i += whole[i] + 1) {
        const length = Math.min(whole[i], 2 * (rings * step + 1));
        if (length > 2) cells.push(length, ...whole.subarray(i + 1, i + 1 + length));
      }
      mesh.getStrips().setData(whole.constructor.from(cells));
      mesh.modified();
      actors[ball].setPosition(...add(points[step], points[last], -1));
      slider.value = step;
      said.textContent = `${name} ${at[step]}`;
      slider.setAttribute("aria-valuetext", said.textContent);
      draw();
    }
    function stop() {
      clearInterval(timer);
      timer = 0;
      button.textContent = "Play";
    }
    function go() {
      const step = Number(slider.value);
      if (step === last) stop();
      else show(step + 1);
    }
    function play() {
      if (Number(slider.value) === last) show(0);
      timer = setInterval(go, STRIDE);
      button.textContent = "Pause";
    }

    button.type = "button";
    button.textContent = "Play";
    button.title = "Follow the path from its start";
    button.addEventListener("click", () => (timer ? stop() : play()));
    Object.assign(slider, { type: "range", min: 0, max: last, value: last });
    slider.setAttribute("aria-label", `Walk the path: ${name}`);
    slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
    slider.addEventListener("keydown", (event) => event.stopPropagation()); // the theme turns pages with the arrow keys
    said.textContent = `${name} ${at[last]}`;
    slider.setAttribute("aria-valuetext", said.textContent);
    bar.replaceChildren(button, slider, said);
    return stop;
  }

  function fail(figure, reason) {
    figure.dataset.state = "failed"; // the picture stays
    figure.dataset.reason = String(reason);
  }

  async function enliven(figure) {
    const box = figure.querySelector(".la-view");
    const stage = document.createElement("div");
    stage.className = "la-live";
    try {
      figure.dataset.state = "loading";
      await load(new URL(figure.dataset.src, document.baseURI).href);
      await load(VIEWER); // last, because the viewer takes over the page unless it is used at once
      box.append(stage);
      const renderWindow = unpack(stage, window.laScenes[figure.dataset.scene]);
      renderWindow.getInteractor().unbindEvents(); // its keys, wheel and touches would act on the whole page
      stage.firstElementChild.removeAttribute("tabindex");
      stage.firstElementChild.style.touchAction = "auto";
      const renderer = await shown(renderWindow);
      const controls = direct(figure, box, stage, renderWindow, renderer);
      figure.dataset.state = "live";
      return controls;
    } catch (error) {
      stage.remove();
      throw error;
    }
  }

  // Turning, zooming and moving by pointer, wheel and keys; size, colours and labels that follow.
  function direct(figure, box, stage, renderWindow, renderer) {
    const camera = renderer.getActiveCamera();
    const [azimuth, elevation, distance, ...target] = figure.dataset.view.split(" ").map(Number);
    const start = { azimuth, elevation, distance, target };
    const labels = [...figure.querySelectorAll(".la-labels span")];
    const interactor = renderWindow.getInteractor();
    let canvas = renderWindow.getViews()[0]; // null while the scene sleeps
    let view = start;
    let waiting = 0;

    function draw() {
      waiting = 0;
      if (!canvas) return;
      const { position } = frame(view);
      camera.setPosition(...position);
      camera.setFocalPoint(...view.target);
      camera.setViewUp(0, 0, 1);
      renderer.resetCameraClippingRange();
      renderWindow.render();
      place(labels, view, box.clientWidth / box.clientHeight);
    }
    function change(next) {
      view = { ...view, ...next };
      view.elevation = clamp(view.elevation, -20, 89);
      view.distance = clamp(view.distance, start.distance / 4, start.distance * 2);
      view.target = view.target.map((value, i) => clamp(value, start.target[i] - 0.7, start.target[i] + 0.7));
      waiting ||= requestAnimationFrame(draw);
    }
    const turn = (x, y) => change({ azimuth: view.azimuth - x, elevation: view.elevation + y });
    const zoom = (factor) => change({ distance: view.distance / factor });
    const reset = () => change(start);
    function move(x, y) {
      const { right, up } = frame(view);
      const unit = (2 * HALF_VIEW * view.distance) / box.clientHeight;
      change({ target: add(add(view.target, right, -x * unit), up, y * unit) });
    }

    function fit() {
      if (!canvas || !box.clientWidth || !box.clientHeight) return;
      const sharp = clamp(window.devicePixelRatio, 2, 3); // thin lines need it on any screen
      canvas.setSize(Math.round(box.clientWidth * sharp), Math.round(box.clientHeight * sharp));
      draw();
    }
    function paint() {
      const colour = getComputedStyle(box).backgroundColor.match(/[\d.]+/g).map(Number);
      for (const one of renderWindow.getRenderers()) one.setBackground(...colour.slice(0, 3).map((c) => c / 255), 1);
      draw();
    }

    const pointers = new Map();
    let before = view;
    const choose = () => stage.focus({ preventScroll: true });
    stage.addEventListener("click", choose); // a finger chooses by a tap: it may have come to scroll
    stage.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") choose();
      stage.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      before = view;
      event.preventDefault();
    });
    stage.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) return;
      const [x, y] = [event.clientX - last.clientX, event.clientY - last.clientY];
      if (pointers.size === 2) {
        const other = [...pointers.values()].find((one) => one.pointerId !== event.pointerId);
        const apart = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
        if (apart(last) > 0 && apart(event) > 0) zoom(apart(event) / apart(last));
        move(x / 2, y / 2);
      } else if (event.shiftKey || (event.buttons & 6) !== 0) move(x, y);
      else turn((180 * x) / box.clientWidth, (180 * y) / box.clientWidth);
      pointers.set(event.pointerId, event);
    });
    stage.addEventListener("pointercancel", () => change(before)); // the page scrolls instead
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      stage.addEventListener(end, (event) => pointers.delete(event.pointerId));
    }
    stage.addEventListener("contextmenu", (event) => event.preventDefault());
    stage.addEventListener("wheel", (event) => {
      if (document.activeElement !== stage) return; // the page scrolls on
      event.preventDefault();
      zoom(Math.exp(clamp(-event.deltaY, -120, 120) / 500));
    }, { passive: false });

    const keys = {
      ArrowLeft: () => turn(-STEP, 0),
      ArrowRight: () => turn(STEP, 0),
      ArrowUp: () => turn(0, STEP),
      ArrowDown: () => turn(0, -STEP),
      "+": () => zoom(1.1),
      "=": () => zoom(1.1),
      "-": () => zoom(1 / 1.1),
      0: reset,
      r: reset,
      R: reset,
      Escape: () => stage.blur(),
    };
    stage.addEventListener("keydown", (event) => {
      if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation(); // the theme turns pages with the arrow keys
      keys[event.key]();
    });

    stage.tabIndex = 0;
    stage.setAttribute("role", "application");
    const name = figure.querySelector("figcaption strong")?.textContent ?? "Surface";
    stage.setAttribute("aria-label", `${name} 3-D view: arrow keys turn it, + and − zoom, 0 brings back the first view`);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "la-reset";
    button.textContent = "Reset";
    button.title = "Back to the first view";
    button.addEventListener("click", reset);
    box.append(button);

    const bar = figure.querySelector(".la-walk");
    const stand = bar ? walkable(bar, renderer, draw) : () => {};

    // Browsers allow few WebGL contexts. A scene that sleeps gives its own away and keeps everything else; it
    // also sleeps when the machine takes the context, and wakes with a new one.
    function sleep() {
      if (!canvas) return;
      stand();
      interactor.setEnableRender(false);
      const element = canvas.getCanvas();
      element.removeEventListener("webglcontextlost", sleep);
      element.getContext("webgl2").getExtension("WEBGL_lose_context")?.loseContext();
      renderWindow.removeView(canvas);
      canvas.setContainer(null);
      canvas = null;
      place(labels, start, box.clientWidth / box.clientHeight); // as in the picture
      figure.dataset.state = "still";
    }
    function wake() {
      canvas = renderWindow.newAPISpecificView("WebGL");
      canvas.setContainer(stage.firstElementChild);
      renderWindow.addView(canvas);
      interactor.setView(canvas);
      interactor.setEnableRender(true);
      canvas.getCanvas().addEventListener("webglcontextlost", sleep);
      fit();
      figure.dataset.state = "live";
    }

    canvas.getCanvas().addEventListener("webglcontextlost", sleep);
    paint();
    fit();
    new ResizeObserver(fit).observe(box);
    window.addEventListener("resize", fit);
    window.addEventListener("beforeprint", () => { view = start; draw(); });
    new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return { sleep, wake };
  }

  function begin() {
    const figures = document.querySelectorAll(".la-scene[data-src]");
    if (!figures.length) return;
    const near = new Set();
    const controls = new Map(); // of the scenes that have come up, the one seen longest ago first
    const live = () => [...controls.keys()].filter((figure) => figure.dataset.state === "live");
    let drawable;

    async function show(figure) {
      if (!near.has(figure) || figure.dataset.state !== "still") return;
      const sleepers = live().filter((other) => !near.has(other));
      for (const other of sleepers.slice(0, Math.max(0, live().length + 1 - CONTEXTS))) controls.get(other).sleep();
      drawable ??= canDraw();
      if (!drawable) fail(figure, "no WebGL");
      else if (controls.has(figure)) controls.get(figure).wake();
      else controls.set(figure, await enliven(figure));
    }

    let queue = Promise.resolve(); // one after the other, because the viewer loads into one shared place
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) {
          near.add(target);
          queue = queue.then(() => show(target)).catch((error) => fail(target, error));
        } else near.delete(target);
        const own = controls.get(target);
        if (own) {
          controls.delete(target);
          controls.set(target, own);
        }
      }
    }, { rootMargin: NEAR });
    for (const figure of figures) {
      figure.dataset.state = "still";
      observer.observe(figure);
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
