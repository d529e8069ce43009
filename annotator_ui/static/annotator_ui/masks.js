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
  const labels = new Int32Array(width * height);
  const parts = [];
  eachPart(mask, width, height, 1, (x, y, pixels) => {
    const outline = pixels.length >= least ? trace(lookup(mask, width, height, 1), x, y) : null;
    parts.push(outline && simplified(outline, by));
    for (const at of pixels) labels[at] = parts.length;
  });
  const gaps = enclosed(mask, width, height);
  eachPart(gaps, width, height, 1, (x, y, pixels) => {
    const around = labels[y * width + x - 1] - 1;
    if (pixels.length < least || !parts[around]) return;
    const hole = simplified(trace(lookup(gaps, width, height, 1), x, y), by);
    parts[around] = [...parts[around], parts[around][0], ...hole, hole[0]];
  });
  return parts.filter(Boolean);
}

const lookup = (mask, width, height, value) => (x, y) =>
  x >= 0 && y >= 0 && x < width && y < height && mask[y * width + x] === value;

/** Call back(x, y, pixels) for each part of pixels of `value` that share sides; (x, y) is its first pixel by rows. */
function eachPart(mask, width, height, value, back) {
  const seen = new Uint8Array(width * height);
  for (let at = 0; at < mask.length; at += 1)
    if (mask[at] === value && !seen[at]) back(at % width, Math.floor(at / width), flood(mask, seen, width, height, [at], SIDES));
}

/** Background that no path of pixels, diagonals included, leads to from the border: 1 there, else 0. */
function enclosed(mask, width, height) {
  const seen = new Uint8Array(width * height);
  const border = [];
  for (let x = 0; x < width; x += 1) border.push(x, (height - 1) * width + x);
  for (let y = 0; y < height; y += 1) border.push(y * width, y * width + width - 1);
  flood(mask, seen, width, height, border.filter((at) => mask[at] === 0), [...SIDES, ...DIAGONALS]);
  return mask.map((value, at) => (value === 0 && !seen[at] ? 1 : 0));
}

const SIDES = [[-1, 0], [1, 0], [0, -1], [0, 1]];
const DIAGONALS = [[-1, -1], [1, -1], [-1, 1], [1, 1]];

/** Pixels of the same value that `steps` lead to from `starts`; marks them in `seen`. */
function flood(mask, seen, width, height, starts, steps) {
  const found = [...new Set(starts)];
  for (const at of found) seen[at] = 1;
  for (let next = 0; next < found.length; next += 1) {
    const at = found[next];
    for (const [dx, dy] of steps) {
      const [x, y] = [(at % width) + dx, Math.floor(at / width) + dy];
      const to = y * width + x;
      if (x < 0 || y < 0 || x >= width || y >= height || seen[to] || mask[to] !== mask[at]) continue;
      seen[to] = 1;
      found.push(to);
    }
  }
  return found;
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
  return [...first.slice(0, -1), ...second.slice(0, -1)];
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
