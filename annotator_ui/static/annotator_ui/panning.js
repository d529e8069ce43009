// Where the photo lies on the screen of Select, which may be drawn on up to its rim: the steps of zoom.js, other limits.

import { fit, zoomed as grown } from "./zoom.js";

const CLOSEST = 32; // screen pixels to one of the photo
const KEPT = 48; // screen pixels of the photo that stay in sight

/** The whole photo in the middle of the canvas. */
export const whole = (photo, canvas) => fit([0, 0, ...photo], ...canvas);

/** Zoomed by a factor about a place on the screen, which keeps its photo pixel. */
export function zoomed(view, factor, at, photo, canvas) {
  const scale = Math.min(CLOSEST, Math.max(whole(photo, canvas).scale / 2, view.scale * factor));
  return moved(grown(view, scale / view.scale, at), [0, 0], photo, canvas);
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
