// Numbers, times and states as the pages write them.

export function percent(value) {
  return value === null || value === undefined ? "–" : `${Math.round(value * 100)} %`;
}

export function number(value, digits = 3) {
  if (typeof value !== "number" || !Number.isFinite(value)) return value === null || value === undefined ? "–" : String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : Number(value.toPrecision(digits)).toString();
}

export function seconds(ms) {
  if (ms === null || ms === undefined) return "–";
  return ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit ? value.toPrecision(3) : value} ${units[unit]}`;
}

export function when(iso) {
  if (!iso) return "–";
  return new Date(iso).toISOString().slice(0, 16).replace("T", " ");
}

/** "samples by stage" and its like: {a: 1, b: 2} as "a 1, b 2". */
export function counts(object) {
  return Object.entries(object ?? {})
    .map(([name, value]) => `${words(name)} ${typeof value === "object" && value ? `(${counts(value)})` : number(value)}`)
    .join(", ");
}

export function words(name) {
  return String(name).replaceAll("_", " ");
}
