// Where a picture lies in a window: {scale, x, y}, window = scale * picture + (x, y). Zooming and panning as pure steps.

const CLOSEST = 8; // window pixels per pixel of the picture, unless the whole picture is shown larger

/** A region [x, y, w, h] of the picture, fitted into a window of width x height. */
export function fit([x, y, w, h], width, height) {
  const scale = Math.min(width / w, height / h);
  return { scale, x: (width - w * scale) / 2 - x * scale, y: (height - h * scale) / 2 - y * scale };
}

/** The same place with the window's point `at` held fast while the scale changes by `factor`. */
export function zoomed(place, factor, [x, y]) {
  return { scale: place.scale * factor, x: x - (x - place.x) * factor, y: y - (y - place.y) * factor };
}

export function moved(place, dx, dy) {
  return { ...place, x: place.x + dx, y: place.y + dy };
}

/** The nearest place at which the picture [w, h] fills the window [width, height] or lies wholly inside it. */
export function held(place, picture, window) {
  const whole = fit([0, 0, ...picture], ...window).scale;
  const scale = Math.min(Math.max(place.scale, whole), Math.max(CLOSEST, whole));
  const middle = window.map((side) => side / 2);
  const at = scale === place.scale ? place : zoomed(place, scale / place.scale, middle);
  const [x, y] = [at.x, at.y].map((offset, axis) => {
    const room = window[axis] - picture[axis] * scale;
    return Math.min(Math.max(offset, Math.min(0, room)), Math.max(0, room));
  });
  return { scale, x, y };
}

/** Two fingers moved from `before` to `after` (two points each): what they hold moves and grows with them. */
export function pinched(place, before, after) {
  const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
  const apart = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  const [from, to] = [middle(before), middle(after)];
  return moved(zoomed(place, apart(after) / Math.max(apart(before), 1), from), to[0] - from[0], to[1] - from[1]);
}
