// The Fit button: a worker refines the pose on screen; the result is one undo step, and nothing is overwritten unasked.

import { fixed, percent } from "../format.js";
import { copied, isPose, isSame } from "../poses.js";
import { t } from "../words.js";
import { fill, h, watchJob } from "./ui.js";

const LOOK_MS = 50;
const PATIENCE_MS = 30_000;

export class Fitter {
  /** stage: AlignStage; holder: where the fit speaks; send({key, pose}): resolves with {job}. */
  constructor(stage, holder, send) {
    Object.assign(this, { stage, holder, send, running: false });
  }

  clear() {
    fill(this.holder);
  }

  /** Start a fit; ignored while one runs. */
  async press() {
    if (this.running) return;
    this.running = true;
    const { stage } = this;
    const { opened } = stage;
    const start = copied(stage.pose);
    const before = stage.measure();
    const bar = h("progress", { max: 1, value: 0, "aria-label": t("Progress of the fit") });
    fill(this.holder, h("p", { class: "row small" }, t("Fitting…"), bar));
    try {
      const { job } = await this.send({ key: crypto.randomUUID(), pose: start });
      const ended = await watchJob(job.id, this.#follower(bar), LOOK_MS);
      if (stage.opened !== opened) return;
      if (ended.state !== "done" || !isPose(ended.result.pose)) throw new Error(ended.error || t("The worker gave up."));
      this.#finish(start, copied(ended.result.pose), before);
    } catch (problem) {
      if (stage.opened === opened) this.#say(t("Fit left the pose as it was: {reason}", { reason: problem.message }), "bad");
    } finally {
      this.running = false;
    }
  }

  #follower(bar) {
    const deadline = performance.now() + PATIENCE_MS;
    return (job) => {
      bar.value = job.progress;
      if (performance.now() > deadline) throw new Error(t("no worker has answered for {seconds} s", { seconds: PATIENCE_MS / 1000 }));
    };
  }

  #finish(start, found, before) {
    if (isSame(found, start)) this.#say(t("Fit found nothing better than this pose."));
    else if (isSame(this.stage.pose, start)) this.#take(found, before);
    else this.#offer(found, before);
  }

  #take(found, before) {
    this.stage.edit("fit", found);
    const after = this.stage.measure();
    const values = { iou0: fixed(before.iou), iou1: fixed(after.iou), depth0: percent(before.depth, 2), depth1: percent(after.depth, 2) };
    this.#say(t("Fit: mask IoU {iou0} → {iou1}, depth {depth0} → {depth1}", values), "good");
  }

  /** The pose was changed meanwhile: the person decides which one goes on. */
  #offer(found, before) {
    fill(
      this.holder,
      h("p", { class: "small" }, t("The fit is ready, but you have changed the pose meanwhile.")),
      h(
        "p",
        { class: "row" },
        h("button", { type: "button", id: "fit-take", onclick: () => this.#take(found, before) }, t("Take the fit")),
        h("button", { type: "button", id: "fit-leave", onclick: () => this.clear() }, t("Keep mine")),
      ),
    );
  }

  #say(text, level = "") {
    fill(this.holder, h("p", { class: `small ${level}` }, text));
  }
}
