// Numbers, times and states as the pages write them.

import { t, w } from "./words.js";

export function percent(value, digits = 0) {
  return value === null || value === undefined ? "–" : `${(value * 100).toFixed(digits)} %`;
}

/** A number with so many digits behind the point, in one width however it changes. */
export function fixed(value, digits = 3) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

export function number(value, digits = 3) {
  if (typeof value !== "number" || !Number.isFinite(value)) return value === null || value === undefined ? "–" : String(value);
  return Number.isInteger(value) ? value.toLocaleString("en") : Number(value.toPrecision(digits)).toString();
}

export function seconds(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 60_000) return t("{seconds} s", { seconds: (ms / 1000).toFixed(1) });
  const whole = Math.round(ms / 1000);
  return t("{minutes} min {seconds} s", { minutes: Math.floor(whole / 60), seconds: whole % 60 });
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

/** A state, stage, role, reason or its like, as the reader's language has it. */
export function words(name) {
  return t(String(name).replaceAll("_", " "));
}

/** What words() is given, for the catalogues. */
export const NAMED = [
  w("queued"), w("running"), w("done"), w("failed"), w("cancelled"),
  w("waiting"), w("open"), w("leased"), w("escalated"), w("paused"), w("closed"),
  w("submitted"), w("skipped"), w("released"), w("postponed"), w("expired"), w("returned"),
  w("checking"), w("refused"), w("in review"), w("approved"), w("frozen"), w("building"), w("planning"), w("finishing"), w("shapes"),
  w("select"), w("compare"), w("align"), w("art"), w("samples"), w("pairs"), w("objects"), w("candidates"), w("people"),
  w("problem"), w("below alpha"), w("pretrain"), w("midtrain"), w("distill"), w("stored"), w("outside taxonomy"), w("mitl"), w("art3do"), w("practice"), w("sft"), w("dpo"), w("tiny"), w("small"), w("full"),
  w("rows"), w("simulated"), w("train"), w("validation"), w("layouts"), w("without layout"), w("fallback layouts withheld"), w("other pointmap layouts withheld"),
  w("aesthetic"), w("removed: image removed"), w("removed: answers changed"), w("removed: candidate withdrawn"), w("removed: now train"), w("removed: filtered out"),
  w("annotator"), w("artist"), w("reviewer"), w("researcher"), w("admin"),
];
