// Sending a mesh: choose or drop a file, watch it go in parts, pause it, carry it on after a reload.

import * as api from "../api.js";
import { size } from "../format.js";
import { ART } from "../keys.js";
import { Stopped, Upload, recall, remember, unfit } from "../uploads.js";
import { t, w } from "../words.js";
import { complain, fill, h, keyButton, me, toast } from "./ui.js";

const UNFIT = {
  fbx: w("FBX is not read here: export GLB from your tool and send that."),
  several: w("Send one file: put an OBJ with its MTL and textures into one ZIP."),
  empty: w("This file is empty."),
  kind: w("Send GLB, a ZIP with OBJ, MTL and textures, OBJ, PLY or STL."),
};
const STATES = {
  sending: w("{sent} of {size} sent"),
  waiting: w("{sent} of {size} sent; the connection is lost, it goes on by itself"),
  paused: w("{sent} of {size} sent; paused"),
  checking: w("{size} sent; the server checks that it arrived whole"),
  done: w("{size} sent"),
};

export class SendPanel {
  /** assignment: {id, fence} of the case; onSent(submission) once the server has taken it as a version. */
  constructor(holder, { assignment, onSent }) {
    Object.assign(this, { assignment, onSent, upload: null });
    this.place = `maquette.upload.${me.id}.${assignment.id}`;
    this.input = h("input", { type: "file", class: "hidden", id: "mesh-file", tabindex: -1, accept: ".glb,.zip,.obj,.ply,.stl,.fbx", "aria-label": t("Mesh file"), onchange: () => this.#take([...this.input.files]) });
    this.line = h("div", { class: "sending", "aria-live": "polite" });
    const drop = h(
      "div",
      { class: "drop" },
      h("p", {}, keyButton(ART, "choose", t("Choose a mesh file"), () => this.choose(), { class: "primary" }), " ", t("or drop it here")),
      h("p", { class: "small" }, t("GLB, a ZIP with OBJ, MTL and textures, OBJ, PLY or STL; y up. You can pause it, and it goes on after a reload.")),
      this.input,
    );
    for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => this.#over(event, drop, true));
    for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, (event) => this.#over(event, drop, false));
    drop.addEventListener("drop", (event) => this.#take([...event.dataTransfer.files]));
    fill(holder, h("h3", {}, t("Send your mesh")), drop, this.line);
    this.#drawRemembered();
  }

  #over(event, drop, on) {
    event.preventDefault();
    drop.classList.toggle("over", on);
  }

  choose() {
    this.input.value = "";
    this.input.click();
  }

  /** An upload that a reload cut off: the same file goes on where it was. */
  #drawRemembered() {
    const known = recall(window.localStorage, this.place);
    if (!known) return fill(this.line);
    const forget = () => {
      window.localStorage.removeItem(this.place);
      fill(this.line);
    };
    return fill(
      this.line,
      h("p", { class: "note" }, t("The upload of {name} ({size}) was cut off. Choose the same file again: it goes on where it was.", { name: known.name, size: size(known.size) })),
      h("p", { class: "row" }, h("button", { type: "button", onclick: () => this.choose() }, t("Choose it again")), h("button", { type: "button", class: "plain", onclick: forget }, t("Forget it"))),
    );
  }

  async #take(files) {
    if (!files.length) return;
    if (this.upload) return void toast(t("Another file is on its way: stop it first."), "bad");
    const why = await unfit(files);
    if (why) return void toast(t(UNFIT[why]), "bad");
    await this.#send(files[0]);
  }

  async #send(file) {
    const key = remember(window.localStorage, this.place, file);
    this.#drawSending(file);
    this.upload = new Upload({ file, key, api, onChange: (at) => this.#drawState(at) });
    try {
      const id = await this.upload.run();
      const { submission } = await api.post(`assignments/${this.assignment.id}/submission/`, { fence: this.assignment.fence, key, upload: id });
      window.localStorage.removeItem(this.place);
      fill(this.line);
      toast(t("The mesh has arrived and is being checked."));
      await this.onSent(submission);
    } catch (problem) {
      if (problem.code === "refused" || problem instanceof Stopped) window.localStorage.removeItem(this.place);
      this.#drawRemembered();
      if (!(problem instanceof Stopped)) complain(problem);
    } finally {
      this.upload = null;
    }
  }

  #drawSending(file) {
    this.bar = h("progress", { max: 1, value: 0, "aria-label": t("Upload") });
    this.text = h("span", { class: "small" });
    this.pause = keyButton(ART, "pause", t("Pause"), () => this.toggle());
    fill(
      this.line,
      h("p", {}, h("strong", {}, file.name)),
      h("p", { class: "row" }, this.bar, this.text),
      h("p", { class: "row" }, this.pause, h("button", { type: "button", class: "plain", onclick: () => this.upload?.stop() }, t("Stop"))),
    );
  }

  #drawState({ state, sent, size: whole }) {
    this.line.dataset.state = state;
    this.bar.value = whole ? sent / whole : 0;
    this.text.textContent = t(STATES[state], { sent: size(sent), size: size(whole) });
    this.pause.firstChild.textContent = state === "paused" ? t("Go on") : t("Pause");
  }

  toggle() {
    if (this.upload?.paused) this.upload.resume();
    else this.upload?.pause();
  }
}
