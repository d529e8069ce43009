// The grid: all candidates as small turntables, of which the most plausible are picked. Strips hold eight views each.

import { PICKS } from "../bracket.js";
import { t } from "../words.js";
import { loadImage } from "./photo.js";
import { $, fill, h } from "./ui.js";

const VIEWS = 8;
const EVERY_MS = 350;

/** An element that shows one of a strip's views; a picture that is no strip stands still. */
export function strip({ turntable_url, thumbnail_url }) {
  const element = h("div", { class: turntable_url ? "strip" : "strip one", "aria-hidden": "true" });
  element.style.backgroundImage = `url("${turntable_url ?? thumbnail_url}")`;
  return element;
}

/** Turn a strip's element to view 0..7. */
export function turnStrip(element, view) {
  element.style.backgroundPositionX = `${((((view % VIEWS) + VIEWS) % VIEWS) / (VIEWS - 1)) * 100}%`;
}

export class Grid {
  /** onChange(): after every pick; wanted(card): a picked candidate's mesh will be needed; still: no turning by itself. */
  constructor({ onChange, wanted, still }) {
    Object.assign(this, { onChange, wanted, turning: !still });
    this.box = $("#grid");
    this.view = 0;
    this.tiles = [];
    this.timer = setInterval(() => this.turning && !this.box.hidden && !document.hidden && this.step(1), EVERY_MS);
  }

  /** Show candidates; after an undo those picked before still are. `fewer`: the batch lets people pick fewer than four. */
  async show(cards, fewer) {
    const before = this.picked;
    await Promise.all(cards.map(({ turntable_url, thumbnail_url }) => loadImage(turntable_url ?? thumbnail_url)));
    this.fewer = fewer;
    this.tiles = cards.map((card, at) => this.#tile(card, at));
    fill($("#tiles"), ...this.tiles.map(({ button }) => button));
    cards.forEach(({ key }, at) => before.includes(key) && this.toggle(at));
    this.box.hidden = false;
    this.step(0);
    this.onChange();
  }

  hide() {
    this.box.hidden = true;
  }

  #tile(card, at) {
    const picture = strip(card);
    const button = h(
      "button",
      { type: "button", class: "tile-pick", "aria-pressed": "false", "aria-label": t("Candidate {n}", { n: at + 1 }), onclick: () => this.toggle(at) },
      picture,
      at < 8 ? h("kbd", {}, String(at + 1)) : null,
    );
    // A pointer that moves over a tile turns that one by hand.
    button.addEventListener("pointermove", (event) => {
      if (event.pointerType !== "mouse") return;
      const { left, width } = button.getBoundingClientRect();
      turnStrip(picture, Math.floor(((event.clientX - left) / width) * VIEWS));
    });
    const tile = { card, button, picture, picked: false, held: false };
    button.addEventListener("pointerenter", ({ pointerType }) => (tile.held = pointerType === "mouse"));
    button.addEventListener("pointerleave", () => (tile.held = false));
    return tile;
  }

  get picked() {
    return this.tiles.filter(({ picked }) => picked).map(({ card }) => card.key);
  }

  /** Whether Enter goes on: four are picked, or at least one where fewer will do. */
  get ready() {
    const n = this.picked.length;
    return n === PICKS || (this.fewer && n > 0);
  }

  /** Pick or unpick a tile; a fifth is not taken. False when it was refused. */
  toggle(at) {
    const tile = this.tiles[at];
    if (!tile || (!tile.picked && this.picked.length === PICKS)) return false;
    tile.picked = !tile.picked;
    tile.button.setAttribute("aria-pressed", String(tile.picked));
    if (tile.picked) this.wanted(tile.card);
    this.onChange();
    return true;
  }

  /** Turn all candidates by so many views; the one under the pointer is turned by it. */
  step(views) {
    this.view += views;
    for (const { picture, held } of this.tiles) if (!held) turnStrip(picture, this.view);
  }
}
