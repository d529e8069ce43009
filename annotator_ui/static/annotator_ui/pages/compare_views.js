// The two viewports of the compare page: what stands in them, how it is shaded, and the buttons for that.

import * as api from "../api.js";
import { COMPARE } from "../keys.js";
import { Duel } from "../scene/duel.js";
import { MeshShelf } from "../scene/meshes.js";
import { t, w } from "../words.js";
import { $, fill, keyButton, needsWebGL } from "./ui.js";

const TURN_DEGREES = 15;
const NEARER = 1.2;
const ARROWS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, 1], arrowdown: [0, -1] };
// Shape is judged untextured, texture textured: the plain look is the one that the batch judges by.
const LOOKS = { normals: w("Normals"), edges: w("Edges"), wireframe: w("Wireframe") };
const PLAIN = { shape: ["matcap", w("Clay")], texture: ["textured", w("Texture")] };

export class Views {
  /** act(action): what a button does. still: no turntable by itself. */
  constructor({ act, still }) {
    this.act = act;
    this.box = $("#viewports");
    this.duel = needsWebGL(() => new Duel($("#gl"), places, { antialias: new URLSearchParams(window.location.search).get("aa") !== "0", still }));
    this.shelf = new MeshShelf(api.bytes, { warm: (geometry) => this.duel.warm(geometry) });
    this.turn = 0;
    this.outlined = true;
    // The controls have stopped the turntable by then.
    $("#gl").addEventListener("pointerdown", () => this.draw());
    new ResizeObserver(() => this.duel.draw()).observe(this.box);
    document.addEventListener("visibilitychange", () => document.hidden && this.duel.setTurning(false));
  }

  get busy() {
    return this.box.hasAttribute("aria-busy");
  }

  /** A new object: its batch says what is judged. `keep`: meshes not to drop. */
  open({ batch }, keep) {
    this.textured = batch.judges === "texture";
    this.duel.show(null, null);
    this.shelf.keep(keep);
    const [plain, label] = PLAIN[batch.judges];
    this.plain = plain;
    const button = (action, text) => keyButton(COMPARE, action, text, () => this.act(action), { class: "look" });
    const looks = [["plain", label], ...Object.entries(LOOKS)].map(([action, text]) => button(action, t(text)));
    fill($("#looks"), ...looks, button("outline", t("Mask outline")), button("turn", t("Turntable")), button("reset", t("Photo view")));
    this.look("plain");
  }

  /** What follows is seen by the photo's camera; `mask`: {data, width, height} or null. */
  setPhoto({ camera, width, height }, mask) {
    this.duel.setPhoto({ camera, width, height, mask });
  }

  #get(url) {
    return this.shelf.get(url, { textured: this.textured });
  }

  /** Show one candidate per side, null for an empty one. False when something else was to be shown meanwhile. */
  async show(cards) {
    this.turn += 1;
    const mine = this.turn;
    const alone = !cards[1];
    this.box.setAttribute("aria-busy", "true");
    const items = await Promise.all(cards.map(async (card) => card && { geometry: await this.#get(card.model_url), pose: card.pose }));
    if (mine !== this.turn) return false;
    this.box.classList.toggle("single", alone);
    $("#left .tag").textContent = alone ? t("The survivor") : t("Left");
    this.duel.show(...items);
    this.box.removeAttribute("aria-busy");
    this.draw();
    return true;
  }

  /** Nothing is shown here for now. */
  leave() {
    this.turn += 1;
    this.box.removeAttribute("aria-busy");
    this.duel.setTurning(false);
  }

  /** Load meshes ahead, in order; one that fails is asked for again when it is to be shown. */
  preload(urls) {
    for (const url of urls) this.#get(url).catch(() => {});
  }

  coverage() {
    return this.duel.coverage().map((share) => Math.round(share * 1000) / 1000);
  }

  /** Shade both sides alike: "plain" or one of LOOKS. */
  look(name) {
    this.shown = name;
    this.duel.setShading(name === "plain" ? this.plain : name);
    this.draw();
  }

  outline() {
    this.outlined = !this.outlined;
    this.duel.setOutline(this.outlined);
    this.draw();
  }

  orbit(key) {
    const [right, up] = ARROWS[key];
    this.duel.orbitBy(right * TURN_DEGREES, up * TURN_DEGREES);
    this.draw();
  }

  /** Say on the buttons how things stand. */
  draw() {
    const pressed = { plain: this.shown === "plain", outline: this.outlined, turn: this.duel.turning };
    for (const name of Object.keys(LOOKS)) pressed[name] = this.shown === name;
    for (const [action, on] of Object.entries(pressed)) $(`#looks [data-action=${action}]`)?.setAttribute("aria-pressed", String(on));
  }

  /** What the keys and buttons of the viewports do. */
  get actions() {
    return {
      reset: () => {
        this.duel.reset();
        this.draw();
      },
      turn: () => {
        this.duel.setTurning(!this.duel.turning);
        this.draw();
      },
      orbit: ({ key }) => this.orbit(key),
      nearer: () => this.duel.zoomBy(NEARER),
      farther: () => this.duel.zoomBy(1 / NEARER),
      plain: () => this.look("plain"),
      ...Object.fromEntries(Object.keys(LOOKS).map((name) => [name, () => this.look(name)])),
      outline: () => this.outline(),
    };
  }
}

function places() {
  const outer = $("#gl").getBoundingClientRect();
  return [$("#left"), $("#right")].map((element) => {
    const { left, top, width, height } = element.getBoundingClientRect();
    return { x: left - outer.left, y: top - outer.top, width, height };
  });
}
