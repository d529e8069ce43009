// Where work is found: which page an assignment belongs to, and what comes next.

import { t, w } from "./words.js";

// Stored as they stand here; shown with t().
export const SKIP_REASONS = [
  w("cannot tell"), w("bad mask"), w("several objects"), w("unclear part"), w("bad photo"), w("meshes do not load"), w("other"),
];
export const ESCALATE_REASONS = [w("complex geometry"), w("occlusion"), w("transparency"), w("small object"), w("other")];
const PAGES = new Set(["select", "compare", "align", "art"]);

/** Address of the page for an assignment. */
export function pageOf(assignment) {
  if (!PAGES.has(assignment.stage)) throw new Error(`no page for the stage ${assignment.stage}`);
  return `/${assignment.stage}/?assignment=${assignment.id}`;
}

/** "4 of 7": the comparison being answered, or the end of the bracket. */
export function countOf(compare) {
  return t("{n} of {total}", { n: Math.min(compare.done + 1, compare.total), total: compare.total });
}

/** Rating as the page words it, against the batch's bar. */
export function verdictOf(r, alpha) {
  return r >= alpha ? t("reaches the bar of {alpha}", { alpha }) : t("below the bar of {alpha}", { alpha });
}

/** GLB addresses in the order in which they will be needed. */
export function modelsOf(assignment) {
  const { compare, align } = assignment;
  if (align) return [align.candidate.model_url];
  if (!compare) return [];
  // While the grid is up nobody knows which meshes will be wanted.
  if (compare.picking) return [];
  const first = compare.step ? [compare.step.left, compare.step.right] : [compare.survivor?.candidate ?? compare.survivor];
  const urls = [...first, ...(compare.candidates ?? [])].filter(Boolean).map((candidate) => candidate.model_url);
  return [...new Set(urls.filter(Boolean))];
}

/** Pictures that the grid shows: a strip of eight views per candidate, or the one picture of an older candidate. */
export function stripsOf({ compare }) {
  return compare?.picking ? compare.candidates.map(({ turntable_url, thumbnail_url }) => turntable_url ?? thumbnail_url) : [];
}
