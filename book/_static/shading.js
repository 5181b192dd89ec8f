// The meshes of a scene with its height on the logarithmic or the linear scale, its path up to a step, and the
// values at its points.
(() => {
  "use strict";

  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // A number as text, with three digits, as in lossatlas._text.
  function numberText(value) {
    if (!Number.isFinite(value)) return "not finite";
    const [factor, power] = value.toExponential(2).split("e").map(Number);
    const grouped = { maximumSignificantDigits: 3, useGrouping: "min2" }; // 1230, 12,300
    const text = value && (power < -3 || power > 4) ? `${factor}·10^${power}` : (value + 0).toLocaleString("en", grouped);
    return text.replaceAll("-", "−");
  }

  // The index of the value nearest to one.
  function nearest(values, value) {
    return values.reduce((best, one, i) => (Math.abs(one - value) < Math.abs(values[best] - value) ? i : best), 0);
  }

  // The cell of an axis that holds a value, and the value's share of the cell; null outside the axis.
  function locate(axis, value) {
    let [low, high] = [0, axis.length - 1];
    if (!(value >= axis[low] && value <= axis[high])) return null;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (axis[middle] <= value) low = middle;
      else high = middle;
    }
    return [low, (value - axis[low]) / (axis[high] - axis[low])];
  }

  // Unit normals of a surface made of triangle strips, pointing upwards.
  function normalsOf(points, strips) {
    const normals = new Float32Array(points.length);
    for (let start = 1; start < strips.length; start += strips[start - 1] + 1) {
      for (let k = start; k < start + strips[start - 1] - 2; k += 1) {
        const [a, b, c] = [3 * strips[k], 3 * strips[k + 1], 3 * strips[k + 2]];
        const [ux, uy, uz] = [points[b] - points[a], points[b + 1] - points[a + 1], points[b + 2] - points[a + 2]];
        const [vx, vy, vz] = [points[c] - points[a], points[c + 1] - points[a + 1], points[c + 2] - points[a + 2]];
        const z = ux * vy - uy * vx;
        const sign = Math.sign(z);
        for (const corner of [a, b, c]) {
          normals[corner] += sign * (uy * vz - uz * vy);
          normals[corner + 1] += sign * (uz * vx - ux * vz);
          normals[corner + 2] += sign * z;
        }
      }
    }
    for (let i = 0; i < normals.length; i += 3) {
      const length = Math.hypot(normals[i], normals[i + 1], normals[i + 2]) || 1;
      for (let k = i; k < i + 3; k += 1) normals[k] /= length;
    }
    return normals;
  }

  // Heights in the box on each scale. From one scale to the other every point only moves up or down.
  function heights(about) {
    const { low, high, box_height: boxHeight, threshold } = about;
    const [drawn] = about.scales;
    const to = {
      linear: (value) => value,
      log: (value) => Math.log10(value),
      symlog: (value) => Math.sign(value) * Math.log10(1 + Math.abs(value) / threshold),
    };
    const from = {
      linear: (height) => height,
      log: (height) => 10 ** height,
      symlog: (height) => Math.sign(height) * threshold * (10 ** Math.abs(height) - 1),
    };
    const [floor, ceiling] = [low, high].map(from[drawn]);
    function of(value, scale) {
      if (!Number.isFinite(value)) return NaN; // a hole
      const [bottom, top] = [floor, ceiling].map(to[scale]);
      return (boxHeight * (to[scale](clamp(value, floor, ceiling)) - bottom)) / (top - bottom);
    }
    return {
      of,
      convert: (scale) => (z) => (scale === drawn ? z : of(from[drawn](low + (z / boxHeight) * (high - low)), scale)),
    };
  }

  // The meshes of a scene: on either scale, stretched vertically, with the path up to a step.
  function meshes(renderer, about, stops) {
    const actors = renderer.getActors();
    const of = (role) => (about.parts[role] ?? []).map((number) => actors[number]);
    const mesh = (actor) => actor.getMapper().getInputData();
    const { convert } = heights(about);
    const { rings, sides, lift } = about.tube;
    const moved = ["surface", "contours", "path", "tree", "tree nodes"].flatMap(of).map(mesh);
    const original = new Map(moved.map((one) => [one, one.getPoints().getData().slice()]));
    const [surface] = of("surface").map(mesh);
    const colours = surface?.getPointData().getScalars().getData().slice();
    const normals = surface?.getPointData().getNormals().getData().slice();
    const [tube] = of("path").map(mesh);
    const strips = tube?.getStrips().getData().slice(); // for each strip its number of points, then their indices
    const opacity = of("walls")[0].getProperty().getOpacity();
    const [ball] = of("end of the path");
    const [x1, x2, y1, y2, z1, z2] = ball ? mesh(ball).getBounds() : [];
    const end = [(x1 + x2) / 2, (y1 + y2) / 2, (z1 + z2) / 2];

    function colour(points) {
      const painted = colours.slice();
      for (let i = 0; i < points.length; i += 3) {
        const place = clamp(points[i + 2] / about.box_height, 0, 1) * (stops.length - 1);
        const k = Math.min(Math.floor(place), stops.length - 2);
        for (let c = 0; c < 3; c += 1) {
          painted[i + c] = Math.round(stops[k][c] + (place - k) * (stops[k + 1][c] - stops[k][c]));
        }
      }
      return painted;
    }
    function setScale(wanted) {
      const other = wanted !== about.scales[0];
      const to = convert(wanted);
      const levels = [...about.levels, about.box_height];
      const middle = (points, start, count) => { // of points that stand together, on the surface below them
        let sum = 0;
        for (let k = start + 2; k < start + 3 * count; k += 3) sum += points[k];
        return sum / count - lift;
      };
      const ofRing = (points, i) => middle(points, i - 2 - ((i - 2) % (3 * sides)), sides);
      const centre = {
        surface: (points, i) => points[i],
        contours: (points, i) => levels[nearest(levels, points[i])],
        path: ofRing,
        tree: ofRing,
        "tree nodes": (points) => middle(points, 0, points.length / 3),
      };
      for (const role of Object.keys(centre)) {
        for (const one of of(role).map(mesh)) {
          const points = original.get(one).slice();
          if (other) {
            for (let i = 2; i < points.length; i += 3) {
              const before = centre[role](original.get(one), i);
              points[i] += to(before) - before;
            }
          }
          one.getPoints().setData(points, 3);
          if (role === "surface") {
            one.getPointData().getScalars().setData(other ? colour(points) : colours.slice());
            one.getPointData().getNormals().setData(other ? normalsOf(points, one.getStrips().getData()) : normals.slice());
          }
          one.modified();
        }
      }
      for (const actor of of("walls")) actor.getProperty().setOpacity(other ? 0 : opacity);
      for (const actor of of("other walls")) actor.getProperty().setOpacity(other ? opacity : 0);
    }
    function stretch(factor) {
      for (const actor of actors) if (actor !== ball) actor.setScale(1, 1, factor);
    }
    // Put the ball at a step (without steps, at the end), and end the tube there.
    function showPath(step, wanted, factor) {
      if (about.path && strips) {
        const cells = [];
        for (let i = 0; i < strips.length; i += strips[i] + 1) {
          const length = Math.min(strips[i], 2 * (rings * step + 1));
          if (length > 2) cells.push(length, ...strips.subarray(i + 1, i + 1 + length));
        }
        tube.getStrips().setData(strips.constructor.from(cells));
        tube.modified();
      }
      const [x, y, z] = about.path?.points[step] ?? end;
      ball?.setPosition(x - end[0], y - end[1], (convert(wanted)(z - lift) + lift) * factor - end[2]);
    }
    return { setScale, stretch, showPath };
  }

  // The values at the points of the surface's own grid, and the point that a line from the eye meets first.
  function readings(about, { alpha, beta, values }) {
    const variables = Object.entries(values).map(([name, packed]) => {
      const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
      return [name, new Float32Array(bytes.buffer)];
    });
    if (!variables.length) { // a volume: nothing to read out
      const none = () => null;
      return { under: none, find: none, step: none, coordinates: none, point: () => [], text: () => "" };
    }
    const { of } = heights(about);
    const share = (value, [low, high]) => (value - low) / (high - low) - 0.5;
    const back = (x, [low, high]) => low + (x + 0.5) * (high - low);
    const z = (i, j, wanted) => of(variables[0][1][i * beta.length + j], wanted);

    function height([x, y], wanted) {
      const [a, b] = [locate(alpha, back(x, about.alpha)), locate(beta, back(y, about.beta))];
      if (!a || !b) return NaN;
      const [[i, s], [j, t]] = [a, b];
      const [near, far] = [0, 1].map((k) => (1 - t) * z(i + k, j, wanted) + t * z(i + k, j + 1, wanted));
      return (1 - s) * near + s * far;
    }
    return {
      // The grid point [i, j] below the first point of a line that passes through the surface, or null.
      under(line, wanted) {
        let before = false; // whether the last point was above the surface
        for (const point of line) {
          const over = point[2] - height(point, wanted);
          if (before && over <= 0) {
            return [nearest(alpha, back(point[0], about.alpha)), nearest(beta, back(point[1], about.beta))];
          }
          before = over > 0;
        }
        return null;
      },
      find: ([a, b]) => [nearest(alpha, a), nearest(beta, b)],
      step: ([i, j], di, dj) => [clamp(i + di, 0, alpha.length - 1), clamp(j + dj, 0, beta.length - 1)],
      coordinates: ([i, j]) => [alpha[i], beta[j]],
      point: ([i, j], wanted) => [share(alpha[i], about.alpha), share(beta[j], about.beta), z(i, j, wanted)],
      text([i, j]) {
        const texts = variables.map(([name, all]) => `${name} ${numberText(all[i * beta.length + j])}`);
        return `α ${numberText(alpha[i])}, β ${numberText(beta[j])}: ${texts.join(", ")}`;
      },
    };
  }

  window.laShading = { meshes, readings };
})();
