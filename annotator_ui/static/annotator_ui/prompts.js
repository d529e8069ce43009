// Asking the segmenter: the clicks and the box of the edits become one request, and a newer one supersedes the older.

import { isPrompt, since } from "./strokes.js";

/** What the segmenter is asked after the edits of a list: {positive, negative, box}. Refused clicks count no more. */
export function promptOf(list) {
  const asked = since(list).filter((edit) => isPrompt(edit) && !edit.refused);
  const clicks = (positive) => asked.filter((edit) => edit.kind === "click" && edit.positive === positive).map(({ at }) => at);
  return { positive: clicks(true), negative: clicks(false), box: asked.findLast((edit) => edit.kind === "box")?.box ?? null };
}

/** The edit whose reply is missing: the last that asks, where it has none and was not refused. */
export function unanswered(list) {
  const last = since(list).findLast((edit) => isPrompt(edit) && !edit.refused);
  return last && !last.polygons ? last : null;
}

export class Asker {
  /** segment(prompt, isStale): resolves with {polygons}, null once stale; rejects with what the person should read. */
  constructor(segment) {
    this.segment = segment;
    this.number = 0;
  }

  /** Ask for an edit, the last prompt of the list; resolves true when its reply is in, false when a newer one came first. */
  async ask(edit, list) {
    this.number += 1;
    const own = this.number;
    const isStale = () => own !== this.number;
    try {
      const found = await this.segment(promptOf(list.slice(0, list.indexOf(edit) + 1)), isStale);
      if (!found || isStale()) return false;
      edit.polygons = found.polygons;
      return true;
    } catch (problem) {
      if (isStale()) return false;
      edit.refused = true;
      throw problem;
    }
  }

  /** Nothing that is under way counts any more. */
  drop() {
    this.number += 1;
  }
}
