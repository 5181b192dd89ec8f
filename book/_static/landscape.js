// One live scene: its camera, labels, heights and path, what pointer and keys do to it, and what is read out.
// `scenes.js` decides which scenes of a page are live. Scenes that stand beside each other share one `group`: what
// is in its `state` holds for all of them, and `group.change` makes each draw itself anew.
(() => {
  "use strict";

  const STEP = 6; // degrees for one press of an arrow key
  const HALF_VIEW = Math.tan((15 * Math.PI) / 180); // the camera's view angle is 30 degrees
  const STRIDE = 0.01; // box sides between two looks along the line from the eye

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const add = (a, b, factor = 1) => a.map((value, i) => value + factor * b[i]);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

  // Where a camera stands that turns around a target: angles in degrees, the horizon always level.
  function frame({ azimuth, elevation, distance, target }) {
    const [a, e] = [azimuth, elevation].map((angle) => (angle * Math.PI) / 180);
    const back = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
    const right = [-Math.sin(a), Math.cos(a), 0];
    const up = [-Math.sin(e) * Math.cos(a), -Math.sin(e) * Math.sin(a), Math.cos(e)];
    return { back, right, up, position: add(target, back, distance) };
  }

  // From a point of the box to its place in the picture, as shares from the left and the top.
  function projection(view, aspect) {
    const { back, right, up, position } = frame(view);
    return (point) => {
      const away = add(point, position, -1);
      const half = HALF_VIEW * -dot(away, back);
      return [0.5 + dot(away, right) / half / aspect / 2, 0.5 - dot(away, up) / half / 2];
    };
  }

  function put(element, [left, top]) {
    element.style.left = `${100 * left}%`;
    element.style.top = `${100 * top}%`;
  }

  // The labels stand at the edges of the box that are nearest to the viewer (α, β) and leftmost (the height).
  function place(labels, view, aspect, tall) {
    const { position } = frame(view);
    const see = projection(view, aspect);
    const corners = [[-1, -1], [-1, 1], [1, -1], [1, 1]];
    for (const label of labels) {
      const at = Number(label.dataset.at);
      const out = label.className === "la-name" ? 0.66 : 0.56;
      let point;
      if (label.dataset.axis === "x") point = [at, Math.sign(position[1]) * out, 0];
      else if (label.dataset.axis === "y") point = [Math.sign(position[0]) * out, at, 0];
      else {
        const edges = corners.map(([x, y]) => [x / 2, y / 2, at * tall]);
        const left = edges.reduce((a, b) => (see(b)[0] < see(a)[0] ? b : a));
        point = [left[0] * 1.05, left[1] * 1.05, at * tall];
      }
      put(label, see(point));
    }
  }

  // Points along the line from the eye through a place of the picture, in a box that is not stretched.
  function* sight(view, aspect, [left, top], tall) {
    const { back, right, up, position } = frame(view);
    const sideways = add(right.map((x) => x * (2 * left - 1) * HALF_VIEW * aspect), up, (1 - 2 * top) * HALF_VIEW);
    const along = add(sideways, back, -1);
    for (let t = Math.max(0.05, view.distance - 2); t < view.distance + 2; t += STRIDE) {
      const [x, y, z] = add(position, along, t);
      yield [x, y, z / tall];
    }
  }

  function landscape(figure, stage, renderWindow, renderer, readings, group) {
    const { state } = group;
    const about = JSON.parse(figure.dataset.about);
    const [azimuth, elevation, distance, ...target] = about.view;
    const start = { azimuth, elevation, distance, target };
    const box = figure.querySelector(".la-view");
    const labels = [...figure.querySelectorAll(".la-labels span")];
    const scaled = [...figure.querySelectorAll("[data-height]")];
    const bytes = (colour) => colour.match(/\w\w/g).map((hex) => parseInt(hex, 16));
    const stops = figure.querySelector(".la-scale").dataset.stops.split(",").map(bytes);
    const camera = renderer.getActiveCamera();
    const interactor = renderWindow.getInteractor();
    const meshes = laRelief.shape(renderer, about, stops);
    const grid = laRelief.readout(about, readings);
    const words = figure.querySelector(".la-words");
    const title = figure.querySelector("figcaption strong")?.textContent.replace(/\.$/, "") ?? "Surface";
    const aspect = () => box.clientWidth / box.clientHeight;
    let canvas = renderWindow.getViews()[0]; // null while the scene sleeps
    let view = state.view;
    let drawn = { height: about.height, tall: 1 };
    let waiting = 0;

    const cursor = document.createElement("i");
    cursor.className = "la-cursor";
    cursor.hidden = true;
    const read = document.createElement("div");
    read.className = "la-read";
    read.setAttribute("aria-live", "polite");
    box.append(cursor, read);

    const seen = () => ({ ...view, target: [view.target[0], view.target[1], view.target[2] * state.tall] });
    function show(height, shownView, tall) {
      for (const one of scaled) one.hidden = one.dataset.height !== height;
      place(labels, shownView, aspect(), tall);
      laTidy(box);
      words.dataset.switched = height === about.height ? "" : height;
    }
    function ask() {
      if (state.linked) view = state.view;
      waiting ||= requestAnimationFrame(draw);
    }
    function draw() {
      waiting = 0;
      if (!canvas) return;
      const { height, tall } = state;
      const step = group.stepOf(about);
      if (height !== drawn.height) meshes.raise(height);
      if (tall !== drawn.tall) meshes.stretch(tall);
      if (height !== drawn.height || tall !== drawn.tall || step !== drawn.step) meshes.walk(step, height, tall);
      drawn = { height, tall, step };
      camera.setPosition(...frame(seen()).position);
      camera.setFocalPoint(...seen().target);
      camera.setViewUp(0, 0, 1);
      renderer.resetCameraClippingRange();
      renderWindow.render();
      show(height, seen(), tall);
      tell();
    }
    function tell() {
      if (!canvas) return;
      const spot = state.spot && grid.find(state.spot);
      const [x, y, z] = spot ? grid.point(spot, state.height) : [];
      cursor.hidden = !spot || Number.isNaN(z);
      if (!cursor.hidden) put(cursor, projection(seen(), aspect())([x, y, z * state.tall]));
      const text = spot ? grid.text(spot) : "";
      if (read.textContent !== text) read.textContent = text;
    }

    function change(next) {
      const wanted = { ...view, ...next };
      wanted.elevation = clamp(wanted.elevation, -20, 89);
      wanted.distance = clamp(wanted.distance, start.distance / 4, start.distance * 2);
      wanted.target = wanted.target.map((value, i) => clamp(value, start.target[i] - 0.7, start.target[i] + 0.7));
      view = wanted;
      if (state.linked) group.change({ view, last: view });
      else {
        state.last = view;
        ask();
      }
    }
    const turn = (x, y) => change({ azimuth: view.azimuth - x, elevation: view.elevation + y });
    const zoom = (factor) => change({ distance: view.distance / factor });
    const reset = () => change(start);
    function move(x, y) {
      const { right, up } = frame(view);
      const unit = (2 * HALF_VIEW * view.distance) / box.clientHeight;
      change({ target: add(add(view.target, right, -x * unit), up, y * unit) });
    }
    function point(event) {
      const { left, top, width, height } = box.getBoundingClientRect();
      const place = [(event.clientX - left) / width, (event.clientY - top) / height];
      const found = grid.under(sight(seen(), aspect(), place, state.tall), state.height);
      group.change({ spot: found && grid.spot(found) });
    }
    function step(di, dj) {
      const middle = [about.alpha, about.beta].map(([low, high]) => (low + high) / 2);
      const from = grid.find(state.spot ?? middle);
      group.change({ spot: grid.spot(state.spot ? grid.step(from, di, dj) : from) });
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
    stage.addEventListener("click", (event) => {
      choose(); // a finger chooses by a tap: it may have come to scroll
      point(event);
    });
    stage.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") choose();
      stage.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      before = view;
      event.preventDefault();
    });
    stage.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) {
        if (!event.buttons) point(event);
        return;
      }
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
    stage.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !pointers.size) group.change({ spot: null });
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
      Escape: () => { group.change({ spot: null }); stage.blur(); },
    };
    const withShift = {
      ArrowLeft: () => step(-1, 0),
      ArrowRight: () => step(1, 0),
      ArrowUp: () => step(0, 1),
      ArrowDown: () => step(0, -1),
    };
    stage.addEventListener("keydown", (event) => {
      const act = (event.shiftKey && withShift[event.key]) || keys[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation(); // the theme turns pages with the arrow keys
      act();
    });

    stage.tabIndex = 0;
    stage.setAttribute("role", "application");
    stage.setAttribute("aria-label", `${title}, 3-D view: arrow keys turn it, + and − zoom, 0 brings back the first `
      + "view; Shift with arrow keys reads the surface point by point");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "la-reset";
    button.textContent = "Reset";
    button.title = "Back to the first view";
    button.setAttribute("aria-label", `Reset the view of ${title}`);
    button.addEventListener("click", reset);
    box.append(button);

    // Browsers allow few WebGL contexts. A scene that sleeps gives its own away and keeps everything else; it
    // also sleeps when the machine takes the context, and wakes with a new one.
    function settle() {
      cursor.hidden = true;
      read.textContent = "";
      show(about.height, start, 1); // as in the picture
    }
    function sleep() {
      if (!canvas) return;
      interactor.setEnableRender(false);
      const element = canvas.getCanvas();
      element.removeEventListener("webglcontextlost", sleep);
      element.getContext("webgl2").getExtension("WEBGL_lose_context")?.loseContext();
      renderWindow.removeView(canvas);
      canvas.setContainer(null);
      canvas = null;
      settle();
      group.mark(figure, "still");
    }
    function wake() {
      canvas = renderWindow.newAPISpecificView("WebGL");
      canvas.setContainer(stage.firstElementChild);
      renderWindow.addView(canvas);
      interactor.setView(canvas);
      interactor.setEnableRender(true);
      canvas.getCanvas().addEventListener("webglcontextlost", sleep);
      if (state.linked) view = state.view;
      paint();
      fit();
      group.mark(figure, "live");
    }

    canvas.getCanvas().addEventListener("webglcontextlost", sleep);
    paint();
    fit();
    new ResizeObserver(fit).observe(box);
    window.addEventListener("resize", fit);
    window.addEventListener("beforeprint", settle);
    window.addEventListener("afterprint", draw);
    new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return { ask, tell, sleep, wake };
  }

  window.laLandscape = landscape;
})();
