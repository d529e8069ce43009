// Masks as bytes (0 or 1, by rows): overlap of two, outlines as polygons, boxes. No canvas here.

/** Intersection over union of two masks of one size; two empty masks agree. */
export function iou(a, b) {
  let both = 0;
  let either = 0;
  for (let at = 0; at < a.length; at += 1) {
    both += a[at] & b[at];
    either += a[at] | b[at];
  }
  return either ? both / either : 1;
}

/** [x0, y0, x1, y1) around the mask, or null when it is empty. */
export function box(mask, width, height) {
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1)
      if (mask[y * width + x]) {
        x0 = Math.min(x0, x);
        y0 = Math.min(y0, y);
        x1 = Math.max(x1, x + 1);
        y1 = Math.max(y1, y + 1);
      }
  return x1 > x0 ? [x0, y0, x1, y1] : null;
}

/** The mask as polygons of pixel corners for an even-odd fill, one per part, with its holes reached by a cut of no width.
 *  Parts and holes below `least` pixels are left out; corners within `by` pixels of a simpler line too. */
export function polygons(mask, width, height, { least = 16, by = 0 } = {}) {
  const bounds = box(mask, width, height);
  if (!bounds) return [];
  const [left, top] = [bounds[0] - 1, bounds[1] - 1];
  const small = cropped(mask, width, bounds);
  const inside = parts(small.mask, small.width, small.height, 1);
  const gaps = enclosed(small.mask, small.width, small.height);
  const outlines = inside.parts.map(({ first, size }) => (size < least ? null : simplified(trace(lookup(small, 1), ...place(first, small.width)), by)));
  for (const { first, size } of parts(gaps, small.width, small.height, 1).parts) {
    const around = inside.labels[first - 1] - 1;
    if (size < least || !outlines[around]) continue;
    const hole = simplified(trace(lookup({ ...small, mask: gaps }, 1), ...place(first, small.width)), by);
    outlines[around] = [...outlines[around], outlines[around][0], ...hole, hole[0]];
  }
  return outlines.filter(Boolean).map((outline) => outline.map(([x, y]) => [x + left, y + top]));
}

/** The mask without holes. */
export function filled(mask, width, height) {
  const gaps = enclosed(mask, width, height);
  return mask.map((value, at) => value | gaps[at]);
}

/** The mask without parts that are specks beside the largest one. */
export function swept(mask, width, height, share = 0.02) {
  const { labels, parts: found } = parts(mask, width, height, 1);
  const least = share * found.reduce((most, { size }) => Math.max(most, size), 0);
  return mask.map((value, at) => (value && found[labels[at] - 1].size >= least ? 1 : 0));
}

/** The part of the mask in its box, with a pixel of background around. */
function cropped(mask, width, [x0, y0, x1, y1]) {
  const size = [x1 - x0 + 2, y1 - y0 + 2];
  const made = new Uint8Array(size[0] * size[1]);
  for (let y = y0; y < y1; y += 1) made.set(mask.subarray(y * width + x0, y * width + x1), (y - y0 + 1) * size[0] + 1);
  return { mask: made, width: size[0], height: size[1] };
}

const place = (at, width) => [at % width, Math.floor(at / width)];

const lookup = ({ mask, width, height }, value) => (x, y) =>
  x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x] === value;

/** Parts of pixels of `value` that share sides (or corners, if `diagonal`): {labels from 1 by pixel, parts: [{first, size, border}]}. */
function parts(mask, width, height, value, diagonal = false) {
  const labels = new Int32Array(mask.length);
  const queue = new Int32Array(mask.length);
  const found = [];
  const reach = diagonal ? 1 : 0;
  for (let start = 0; start < mask.length; start += 1) {
    if (mask[start] !== value || labels[start]) continue;
    const part = { first: start, size: 0, border: false };
    const label = found.push(part);
    let end = 0;
    queue[end++] = start;
    labels[start] = label;
    while (part.size < end) {
      const at = queue[part.size++];
      const x = at % width;
      const y = (at - x) / width;
      part.border ||= x === 0 || y === 0 || x === width - 1 || y === height - 1;
      for (let dy = -1; dy <= 1; dy += 1)
        for (let dx = -1; dx <= 1; dx += 1) {
          if (Math.abs(dx) + Math.abs(dy) > 1 + reach || x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue;
          const to = at + dy * width + dx;
          if (labels[to] || mask[to] !== value) continue;
          labels[to] = label;
          queue[end++] = to;
        }
    }
  }
  return { labels, parts: found };
}

/** Background that no path of pixels, diagonals included, leads to from the border: 1 there, else 0. */
function enclosed(mask, width, height) {
  const { labels, parts: found } = parts(mask, width, height, 0, true);
  return mask.map((value, at) => (value === 0 && !found[labels[at] - 1].border ? 1 : 0));
}

// Walks pixel corners with the mask on the right hand; straight runs keep their ends only.
const STEPS = [
  [1, 0],
  [0, 1],
  [-1, 0],
  [0, -1],
];

function trace(inside, startX, startY) {
  const corners = [];
  let [x, y, direction] = [startX, startY, 0];
  do {
    corners.push([x, y]);
    do {
      [x, y] = [x + STEPS[direction][0], y + STEPS[direction][1]];
      const turn = nextTurn(inside, x, y, direction);
      if (turn !== 0) {
        direction = (direction + turn + 4) % 4;
        break;
      }
    } while (x !== startX || y !== startY);
  } while (x !== startX || y !== startY);
  return corners;
}

/** -1 left, 0 straight, 1 right at corner (x, y), having come in `direction`. */
function nextTurn(inside, x, y, direction) {
  const ahead = [
    [[x, y - 1], [x, y]],
    [[x, y], [x - 1, y]],
    [[x - 1, y], [x - 1, y - 1]],
    [[x - 1, y - 1], [x, y - 1]],
  ][direction];
  const [left, right] = ahead.map(([column, row]) => inside(column, row));
  if (!right) return 1;
  return left ? -1 : 0;
}

/** The closed polygon with corners that lie within `by` pixels of the simpler line left out (Douglas-Peucker). */
export function simplified(corners, by = 0.8) {
  if (by <= 0 || corners.length < 5) return corners;
  const half = Math.floor(corners.length / 2);
  const first = thinned(corners.slice(0, half + 1), by);
  const second = thinned([...corners.slice(half), corners[0]], by);
  const made = [...first.slice(0, -1), ...second.slice(0, -1)];
  return made.length < 3 ? corners : made;
}

function thinned(line, by) {
  const keep = new Set([0, line.length - 1]);
  const spans = [[0, line.length - 1]];
  while (spans.length) {
    const [from, to] = spans.pop();
    const [farthest, distance] = farthestFrom(line, from, to);
    if (distance <= by) continue;
    keep.add(farthest);
    spans.push([from, farthest], [farthest, to]);
  }
  return line.filter((_, at) => keep.has(at));
}

function farthestFrom(line, from, to) {
  const [[x0, y0], [x1, y1]] = [line[from], line[to]];
  const length = Math.hypot(x1 - x0, y1 - y0) || 1;
  let [farthest, distance] = [from, 0];
  for (let at = from + 1; at < to; at += 1) {
    const [x, y] = line[at];
    const off = Math.abs((x1 - x0) * (y0 - y) - (x0 - x) * (y1 - y0)) / length;
    if (off > distance) [farthest, distance] = [at, off];
  }
  return [farthest, distance];
}
