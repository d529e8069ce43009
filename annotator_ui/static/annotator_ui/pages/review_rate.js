// A rating under review: the photo, the survivor on a turntable, what else was in the bracket, and r against the bar.

import { fixed, number, seconds } from "../format.js";
import { REVIEW } from "../keys.js";
import { verdictOf } from "../queue.js";
import { t } from "../words.js";
import { named } from "./names.js";
import { PhotoView } from "./photo_view.js";
import { showTurning } from "./posed.js";
import { photoAndMask, stencil } from "./photo.js";
import { busy, facts, fill, h, keyButton } from "./ui.js";

const STEP = 0.05;

export class ReviewRate {
  /** holder: to fill; found: the answer's detail; settle(body): stores a verdict. */
  constructor(holder, found, { settle }) {
    Object.assign(this, { holder, found, settle, fixes: false });
    this.r = found.r;
  }

  async open() {
    const { object, candidate, others } = this.found;
    const photo = h("canvas", { role: "img", "aria-label": t("The photo with the object outlined") });
    this.turning = h("div", { class: "turning" });
    this.name = h("p", { class: "small" });
    this.thumbs = h("div", { class: "thumbs", role: "group", "aria-label": t("The candidates of the bracket") });
    fill(
      this.holder,
      h("div", { class: "columns" }, h("div", { class: "picture" }, photo), h("div", {}, this.turning, this.name)),
      h("aside", {}, this.#scale(), this.#facts(), h("h3", {}, t("The bracket's candidates")), this.thumbs),
    );
    this.view = new PhotoView(photo);
    const [image, mask] = await photoAndMask(object);
    if (this.gone) return;
    this.view.show(image, mask && stencil(mask));
    this.cards = [candidate, ...others];
    await this.#turn(0);
  }

  /** Put one of the candidates on the turntable; the first is the survivor. */
  async #turn(place) {
    fill(
      this.thumbs,
      ...this.cards.map((card, at) =>
        h(
          "button",
          { type: "button", class: "thumb", "aria-pressed": String(at === place), onclick: () => this.#turn(at) },
          h("img", { src: card.thumbnail_url, alt: at === 0 ? t("The survivor") : t("Candidate {number}", { number: at }), loading: "lazy" }),
        ),
      ),
    );
    this.name.textContent = place === 0 ? t("The survivor: this is what was rated.") : t("Candidate {number}, which did not survive.", { number: place });
    await showTurning(this.turning, this.cards[place].model_url);
  }

  #facts() {
    const { user, batch, active_ms, reasons, r } = this.found;
    return facts([[t("Rated by"), named(user)], [t("Rating"), number(r)], [t("Time"), seconds(active_ms)], [t("Batch"), named(batch)], ...(reasons.length ? [[t("Reasons"), reasons.map((each) => t(each)).join(", ")]] : [])]);
  }

  #scale() {
    const { alpha } = this.found;
    this.input = h("input", { id: "r", type: "range", min: 0, max: 1, step: STEP, "aria-label": t("Your rating") });
    this.input.addEventListener("input", () => this.#set(Number(this.input.value)));
    this.value = h("output", { id: "r-value", for: "r" });
    this.verdict = h("span", { class: "small" });
    const bar = h("span", { class: "bar" }, t("bar {alpha}", { alpha: number(alpha) }));
    bar.style.left = `${alpha * 100}%`;
    this.store = keyButton(REVIEW, "fix", t("Store my rating instead"), () => this.act("fix"), { id: "store-r" });
    const scale = h("div", { class: "rate-scale" }, h("p", { class: "row" }, h("strong", {}, t("Your rating")), this.value, this.verdict), h("div", { class: "scale" }, this.input, bar), this.store);
    this.#set(this.found.r);
    return scale;
  }

  #set(value) {
    this.r = Math.round(Math.max(0, Math.min(1, value)) * 100) / 100;
    this.input.value = this.r;
    this.value.textContent = fixed(this.r, 2);
    this.verdict.textContent = verdictOf(this.r, this.found.alpha);
    this.store.disabled = this.r === this.found.r;
  }

  act(action) {
    const actions = {
      less: () => this.#set(this.r - STEP),
      more: () => this.#set(this.r + STEP),
      closer: () => this.view?.closer(),
      farther: () => this.view?.farther(),
      whole: () => this.view?.whole(),
      turn: () => this.turning.posed?.toggle(),
      // Without another rating there is nothing to store yet.
      fix: () => (this.r === this.found.r ? this.input.focus() : busy(this.store, () => this.settle({ verdict: "fix", r: this.r }))),
    };
    return void actions[action]?.();
  }

  dispose() {
    this.gone = true;
    this.view?.dispose();
    this.turning?.posed?.dispose();
  }
}
