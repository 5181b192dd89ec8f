// One live scene: its camera, labels, scale and path, what the pointer and the keys do to it, and its readings.
// `scenes.js` decides which scenes of a page are live. Scenes beside each other share one `group`: its `state` holds
// for all of them, and `group.change` makes each draw itself again.
(() => {
  "use strict";

  const STEP = 6; // degrees for one press of an arrow key
  const STRIDE = 0.01; // box sides between two points on the line from the eye

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const add = (a, b, factor = 1) => a.map((value, i) => value + factor * b[i]);
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

  // The axes and the position of a camera that turns around a target: angles in degrees, the horizon always level.
  function cameraAxes({ azimuth, elevation, distance, target }) {
    const [a, e] = [azimuth, elevation].map((angle) => (angle * Math.PI) / 180);
    const back = [Math.cos(e) * Math.cos(a), Math.cos(e) * Math.sin(a), Math.sin(e)];
    const right = [-Math.sin(a), Math.cos(a), 0];
    const up = [-Math.sin(e) * Math.cos(a), -Math.sin(e) * Math.sin(a), Math.cos(e)];
    return { back, right, up, position: add(target, back, distance) };
  }

  // Half the height of what the camera sees at distance 1.
  const half = (view) => Math.tan((view.view_angle * Math.PI) / 360);

  // From a point of the box to its place in the picture, as shares from the left and the top.
  function projection(view, aspect) {
    const { back, right, up, position } = cameraAxes(view);
    const halfView = half(view);
    return (point) => {
      const away = add(point, position, -1);
      const size = halfView * -dot(away, back);
      return [0.5 + dot(away, right) / size / aspect / 2, 0.5 - dot(away, up) / size / 2];
    };
  }

  function moveTo(element, [left, top]) {
    element.style.left = `${100 * left}%`;
    element.style.top = `${100 * top}%`;
  }

  // The labels stand at the edges of the box that are nearest to the viewer (α, β) and leftmost (the height).
  function placeLabels(labels, view, aspect, anchors, stretch) {
    const { position } = cameraAxes(view);
    const project = projection(view, aspect);
    const corners = [[-1, -1], [-1, 1], [1, -1], [1, 1]];
    for (const label of labels) {
      const at = Number(label.dataset.at);
      const out = label.className === "la-name" ? anchors.name : anchors.tick;
      let point;
      if (label.dataset.axis === "x") point = [at, Math.sign(position[1]) * out, 0];
      else if (label.dataset.axis === "y") point = [Math.sign(position[0]) * out, at, 0];
      else {
        const edges = corners.map(([x, y]) => [x / 2, y / 2, at * stretch]);
        const left = edges.reduce((a, b) => (project(b)[0] < project(a)[0] ? b : a));
        point = [left[0] * anchors.height, left[1] * anchors.height, at * stretch];
      }
      moveTo(label, project(point));
    }
  }

  // Points along the line from the eye through a place of the picture, in a box that is not stretched.
  function* lineOfSight(view, aspect, [left, top], stretch) {
    const { back, right, up, position } = cameraAxes(view);
    const sideways = add(right.map((x) => x * (2 * left - 1) * half(view) * aspect), up, (1 - 2 * top) * half(view));
    const along = add(sideways, back, -1);
    for (let t = Math.max(0.05, view.distance - 2); t < view.distance + 2; t += STRIDE) {
      const [x, y, z] = add(position, along, t);
      yield [x, y, z / stretch];
    }
  }

  function liveScene(figure, live, renderWindow, renderer, readings, group) {
    const { state } = group;
    const about = JSON.parse(figure.dataset.about);
    const start = about.camera;
    const box = figure.querySelector(".la-view");
    const labels = [...figure.querySelectorAll(".la-labels span")];
    const ticks = [...figure.querySelectorAll("[data-scale]")];
    const bytes = (colour) => colour.match(/\w\w/g).map((hex) => parseInt(hex, 16));
    const stops = figure.querySelector(".la-scale").dataset.stops.split(",").map(bytes);
    const camera = renderer.getActiveCamera();
    const interactor = renderWindow.getInteractor();
    const meshes = laShading.meshes(renderer, about, stops);
    const grid = laShading.readings(about, readings);
    const caption = figure.querySelector(".la-caption");
    const title = figure.querySelector("figcaption strong")?.textContent.replace(/\.$/, "") ?? "Surface";
    const aspect = () => box.clientWidth / box.clientHeight;
    let canvas = renderWindow.getViews()[0]; // null while the scene sleeps
    let view = state.view;
    let drawn = { scale: about.scales[0], stretch: 1 };
    let waiting = 0;

    const cursor = document.createElement("i");
    cursor.className = "la-cursor";
    cursor.hidden = true;
    const reading = document.createElement("div");
    reading.className = "la-reading";
    reading.setAttribute("aria-live", "polite");
    box.append(cursor, reading);

    const stretched = () => {
      const [x, y, z] = view.target;
      return { ...view, target: [x, y, z * state.stretch] };
    };
    function arrangeLabels(scale, shownView, stretch) {
      for (const one of ticks) one.hidden = one.dataset.scale !== scale;
      placeLabels(labels, shownView, aspect(), about.anchors, stretch);
      laTidy(box);
      caption.dataset.switched = scale === about.scales[0] ? "" : scale;
    }
    function requestDraw() {
      if (state.linked) view = state.view;
      waiting ||= requestAnimationFrame(draw);
    }
    function draw() {
      waiting = 0;
      if (!canvas) return;
      const { scale, stretch } = state;
      const step = group.stepOf(about);
      if (scale !== drawn.scale) meshes.setScale(scale);
      if (stretch !== drawn.stretch) meshes.stretch(stretch);
      const changed = scale !== drawn.scale || stretch !== drawn.stretch || step !== drawn.step;
      if (changed) meshes.showPath(step, scale, stretch);
      drawn = { scale, stretch, step };
      camera.setPosition(...cameraAxes(stretched()).position);
      camera.setFocalPoint(...stretched().target);
      camera.setViewUp(0, 0, 1);
      renderer.resetCameraClippingRange();
      renderWindow.render();
      arrangeLabels(scale, stretched(), stretch);
      showReading();
    }
    function showReading() {
      if (!canvas) return;
      const index = state.selected && grid.find(state.selected);
      const [x, y, z] = index ? grid.point(index, state.scale) : [];
      cursor.hidden = !index || Number.isNaN(z);
      if (!cursor.hidden) moveTo(cursor, projection(stretched(), aspect())([x, y, z * state.stretch]));
      const text = index ? grid.text(index) : "";
      if (reading.textContent !== text) reading.textContent = text;
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
        requestDraw();
      }
    }
    const turn = (x, y) => change({ azimuth: view.azimuth - x, elevation: view.elevation + y });
    const zoom = (factor) => change({ distance: view.distance / factor });
    const reset = () => change(start);
    function move(x, y) {
      const { right, up } = cameraAxes(view);
      const unit = (2 * half(view) * view.distance) / box.clientHeight;
      change({ target: add(add(view.target, right, -x * unit), up, y * unit) });
    }
    function readAt(event) {
      const { left, top, width, height } = box.getBoundingClientRect();
      const place = [(event.clientX - left) / width, (event.clientY - top) / height];
      const index = grid.under(lineOfSight(stretched(), aspect(), place, state.stretch), state.scale);
      group.change({ selected: index && grid.coordinates(index) });
    }
    function moveReading(di, dj) {
      const middle = [about.alpha, about.beta].map(([low, high]) => (low + high) / 2);
      const from = grid.find(state.selected ?? middle);
      group.change({ selected: grid.coordinates(state.selected ? grid.step(from, di, dj) : from) });
    }

    function resize() {
      if (!canvas || !box.clientWidth || !box.clientHeight) return;
      const sharp = clamp(window.devicePixelRatio, 2, 3); // thin lines need it on any screen
      canvas.setSize(Math.round(box.clientWidth * sharp), Math.round(box.clientHeight * sharp));
      draw();
    }
    function applyTheme() {
      const colour = getComputedStyle(box).backgroundColor.match(/[\d.]+/g).map(Number);
      for (const one of renderWindow.getRenderers()) one.setBackground(...colour.slice(0, 3).map((c) => c / 255), 1);
      draw();
    }

    const pointers = new Map();
    let before = view;
    const focus = () => live.focus({ preventScroll: true });
    live.addEventListener("click", (event) => {
      focus(); // a finger selects by a tap, because a drag may be a scroll
      readAt(event);
    });
    live.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "touch") focus();
      live.setPointerCapture(event.pointerId);
      pointers.set(event.pointerId, event);
      before = view;
      event.preventDefault();
    });
    live.addEventListener("pointermove", (event) => {
      const last = pointers.get(event.pointerId);
      if (!last) {
        if (!event.buttons) readAt(event);
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
    live.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse" && !pointers.size) group.change({ selected: null });
    });
    live.addEventListener("pointercancel", () => change(before)); // the page scrolls instead
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      live.addEventListener(end, (event) => pointers.delete(event.pointerId));
    }
    live.addEventListener("contextmenu", (event) => event.preventDefault());
    live.addEventListener("wheel", (event) => {
      if (document.activeElement !== live) return; // the page scrolls
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
      Escape: () => { group.change({ selected: null }); live.blur(); },
    };
    const withShift = {
      ArrowLeft: () => moveReading(-1, 0),
      ArrowRight: () => moveReading(1, 0),
      ArrowUp: () => moveReading(0, 1),
      ArrowDown: () => moveReading(0, -1),
    };
    live.addEventListener("keydown", (event) => {
      const action = (event.shiftKey && withShift[event.key]) || keys[event.key];
      if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation(); // the theme turns pages with the arrow keys
      action();
    });

    live.tabIndex = 0;
    live.setAttribute("role", "application");
    live.setAttribute("aria-label", `${title}, 3-D view: arrow keys turn it, + and − zoom, 0 brings back the first `
      + "view; Shift with arrow keys reads the surface point by point");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "la-reset";
    button.textContent = "Reset";
    button.title = "Back to the first view";
    button.setAttribute("aria-label", `Reset the view of ${title}`);
    button.addEventListener("click", reset);
    box.append(button);

    // Browsers allow few WebGL contexts. A scene that sleeps releases its own and keeps everything else; it also
    // sleeps when the machine takes the context, and wakes with a new one.
    function showStill() {
      cursor.hidden = true;
      reading.textContent = "";
      arrangeLabels(about.scales[0], start, 1); // as in the still picture
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
      showStill();
      group.mark(figure, "still");
    }
    function wake() {
      canvas = renderWindow.newAPISpecificView("WebGL");
      canvas.setContainer(live.firstElementChild);
      renderWindow.addView(canvas);
      interactor.setView(canvas);
      interactor.setEnableRender(true);
      canvas.getCanvas().addEventListener("webglcontextlost", sleep);
      if (state.linked) view = state.view;
      applyTheme();
      resize();
      group.mark(figure, "live");
    }

    canvas.getCanvas().addEventListener("webglcontextlost", sleep);
    applyTheme();
    resize();
    new ResizeObserver(resize).observe(box);
    window.addEventListener("resize", resize);
    window.addEventListener("beforeprint", showStill);
    window.addEventListener("afterprint", draw);
    new MutationObserver(applyTheme).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return { requestDraw, showReading, sleep, wake };
  }

  window.laLiveScene = liveScene;
})();
