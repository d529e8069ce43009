// Where the photo lies on the screen: {scale, x, y} puts photo pixel (u, v) at (x + scale u, y + scale v).

const CLOSEST = 32; // screen pixels to one of the photo
const KEPT = 48; // screen pixels of the photo that stay in sight

/** The whole photo in the middle of the canvas. */
export function whole([width, height], [across, down]) {
  const scale = Math.min(across / width, down / height);
  return { scale, x: (across - width * scale) / 2, y: (down - height * scale) / 2 };
}

/** Zoomed by a factor about a place on the screen, which keeps its photo pixel. */
export function zoomed(view, factor, [x, y], photo, canvas) {
  const scale = Math.min(CLOSEST, Math.max(whole(photo, canvas).scale / 2, view.scale * factor));
  const by = scale / view.scale;
  return moved({ scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by }, [0, 0], photo, canvas);
}

/** Moved over the screen; some of the photo always stays in sight. */
export function moved({ scale, x, y }, [dx, dy], [width, height], [across, down]) {
  const keep = (at, length, room) => Math.min(room - KEPT, Math.max(KEPT - length * scale, at));
  return { scale, x: keep(x + dx, width, across), y: keep(y + dy, height, down) };
}

/** Photo place under a place on the screen. */
export const under = ({ scale, x, y }, [u, v]) => [(u - x) / scale, (v - y) / scale];

/** Place on the screen of a photo place. */
export const over = ({ scale, x, y }, [u, v]) => [x + u * scale, y + v * scale];

/** The box [x0, y0, x1, y1] between two places, in whatever order. */
export const boxOf = ([x0, y0], [x1, y1]) => [Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)];

/** Flat places x, y, ... put into the photo. */
export const within = (places, photo) => places.map((value, at) => Math.max(0, Math.min(photo[at % 2], value)));
