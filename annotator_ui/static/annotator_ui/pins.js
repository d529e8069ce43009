// Remarks on a mesh as threads: what is pinned to the same point answers each other. Numbers are by first pinning.

/** [{number, point, pins}] of pins in their order; remarks on the whole mesh are one thread, without number, at the end. */
export function threads(pins) {
  const found = new Map();
  for (const pin of pins) {
    const place = pin.point ? pin.point.join(" ") : "";
    if (!found.has(place)) found.set(place, { point: pin.point ?? null, pins: [] });
    found.get(place).pins.push(pin);
  }
  const placed = [...found.values()].filter(({ point }) => point).map((thread, at) => ({ number: at + 1, ...thread }));
  const whole = found.get("");
  return whole ? [...placed, { number: null, ...whole }] : placed;
}
