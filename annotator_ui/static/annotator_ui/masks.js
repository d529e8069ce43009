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
  for (let y = 0; y < height; y += 1) {
    const row = mask.subarray(y * width, (y + 1) * width);
    const first = row.indexOf(1);
    if (first < 0) continue;
    [x0, y0] = [Math.min(x0, first), Math.min(y0, y)];
    [x1, y1] = [Math.max(x1, row.lastIndexOf(1) + 1), y + 1];
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
  const around = labelled(inside.runs, small.mask.length);
  for (const { first, size } of parts(gaps, small.width, small.height, 1).parts) {
    const outer = around[first - 1] - 1;
    if (size < least || !outlines[outer]) continue;
    const hole = simplified(trace(lookup({ ...small, mask: gaps }, 1), ...place(first, small.width)), by);
    outlines[outer] = [...outlines[outer], outlines[outer][0], ...hole, hole[0]];
  }
  return outlines.filter(Boolean).map((outline) => outline.map(([x, y]) => [x + left, y + top]));
}

/** The mask without holes. */
export function filled(mask, width, height) {
  return painted(mask.slice(), parts(mask, width, height, 0, true), ({ border }) => !border, 1);
}

/** The mask without parts that are specks beside the largest one. */
export function swept(mask, width, height, share = 0.02) {
  const found = parts(mask, width, height, 1);
  const least = share * found.parts.reduce((most, { size }) => Math.max(most, size), 0);
  return painted(mask.slice(), found, ({ size }) => size < least, 0);
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

/**
 * Parts of pixels of `value` that share sides (or corners, if `diagonal`), in the order of their first pixels:
 * {runs: [[start, end, number of the part from 1], ...] by rows, parts: [{first, size, border}]}. By runs, not by pixels:
 * a mask of four million pixels has some thousands of them.
 */
function parts(mask, width, height, value, diagonal = false) {
  const runs = runsOf(mask, width, value);
  const roots = runs.map((_, at) => at);
  const root = (at) => {
    while (roots[at] !== at) at = roots[at] = roots[roots[at]];
    return at;
  };
  const reach = diagonal ? 1 : 0;
  for (let at = 0, above = 0; at < runs.length; at += 1) {
    const [from, to] = [runs[at][0] - width, runs[at][1] - width];
    const rowStart = from - (from % width);
    while (above < at && runs[above][1] + reach <= from) above += 1;
    for (let each = above; each < at && runs[each][0] < Math.min(to + reach, rowStart + width); each += 1) {
      if (runs[each][0] < rowStart) continue;
      const [a, b] = [root(at), root(each)];
      roots[Math.max(a, b)] = Math.min(a, b);
    }
  }
  const found = [];
  runs.forEach((run, at) => {
    const own = root(at);
    run[2] = own === at ? found.push({ first: run[0], size: 0, border: false }) : runs[own][2];
    const part = found[run[2] - 1];
    part.size += run[1] - run[0];
    part.border ||= run[0] % width === 0 || run[1] % width === 0 || run[0] < width || run[1] > mask.length - width;
  });
  return { runs, parts: found };
}

/** [start, end] of every run of `value` within a row. */
function runsOf(mask, width, value) {
  const runs = [];
  let other = -1;
  for (let start = mask.indexOf(value); start >= 0; ) {
    if (other < start) other = mask.indexOf(1 - value, start);
    if (other < 0) other = mask.length;
    const end = Math.min(other, start - (start % width) + width);
    runs.push([start, end, 0]);
    start = end < mask.length && mask[end] === value ? end : mask.indexOf(value, end);
  }
  return runs;
}

/** The number of the part for each pixel, 0 outside. */
function labelled(runs, length) {
  const labels = new Int32Array(length);
  for (const [start, end, label] of runs) labels.fill(label, start, end);
  return labels;
}

/** `mask` with `value` set where the parts fit. */
function painted(mask, { runs, parts: found }, fits, value) {
  for (const [start, end, label] of runs) if (fits(found[label - 1])) mask.fill(value, start, end);
  return mask;
}

/** Background that no path of pixels, diagonals included, leads to from the border: 1 there, else 0. */
function enclosed(mask, width, height) {
  return painted(new Uint8Array(mask.length), parts(mask, width, height, 0, true), ({ border }) => !border, 1);
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
