// A large file on its way to the server in parts: paused and resumed, carried on after a broken network or a reload.
// The server says which parts it has; the file's key is remembered on this machine, so that the same file goes on.

import { isPassing } from "./outbox.js";
import { t } from "./words.js";

export const AT_ONCE = 3;
const WAITS_MS = [1000, 2000, 4000, 8000, 15_000];
const TRIES = 4; // of what a network that is merely slow does not explain
const HASHED_BYTES = 512 * 1024 * 1024; // the browser hashes in memory only
const AGAIN = new Set(["link_refused", "part_refused", "upload_refused"]);
const NAMES = ["name", "size", "lastModified"];

/** Why an upload ended that its person ended. */
export class Stopped extends Error {}

export class Upload {
  /**
   * file: a File; key: its UUID; api: {post, putBytes}; digest(file): sha256 in hex, or "" when it is not known;
   * wait(ms): a promise; onChange({state, sent, size}): state is "sending", "waiting", "paused", "checking" or "done".
   */
  constructor({ file, key, api, digest = sha256, wait = pass, onChange = () => {} }) {
    Object.assign(this, { file, key, api, digest, wait, onChange });
    this.stored = 0;
    this.moving = new Map();
    this.state = "sending";
    this.paused = null;
    this.ended = false;
  }

  /** Send what is missing; resolves with the id of the stored upload. Rejects with Stopped, or with what the server refused. */
  async run() {
    const hash = this.digest(this.file);
    hash.catch(() => {});
    for (let failures = 0; ; ) {
      await this.paused?.over;
      if (this.ended) throw new Stopped();
      const before = this.stored;
      try {
        return await this.#round(hash);
      } catch (problem) {
        if (this.ended) throw new Stopped();
        if (this.paused) continue;
        failures = this.stored > before ? 1 : failures + 1;
        if (!isPassing(problem) && !(AGAIN.has(problem.code) && failures < TRIES)) throw problem;
        this.#say("waiting");
        await this.wait(WAITS_MS[Math.min(failures, WAITS_MS.length) - 1]);
      }
    }
  }

  /** The same key gives the row that was made, with what has arrived and fresh links. */
  async #round(hash) {
    const { name: filename, size } = this.file;
    const row = await this.api.post("uploads/", { filename, size, in_parts: true, key: this.key });
    if (row.state === "refused") throw Object.assign(new Error(this.refusal?.message ?? t("The server refused this file.")), { status: 400, code: "refused" });
    if (row.state === "open") {
      await this.#send(row);
      this.#say("checking");
      await this.#finalise(row.id, await hash);
    }
    this.stored = size;
    this.#say("done");
    return row.id;
  }

  async #finalise(id, hash) {
    try {
      await this.api.post(`uploads/${id}/finalise/`, hash ? { sha256: hash } : {});
    } catch (problem) {
      if (problem.code === "upload_refused") this.refusal = problem;
      throw problem;
    }
  }

  /** The missing parts, AT_ONCE at a time. Once one has failed no other is begun, but what is on its way may arrive. */
  async #send(row) {
    this.stored = row.parts.filter((part) => part.stored).reduce((sum, part) => sum + part.size, 0);
    this.moving.clear();
    this.control = new AbortController();
    this.#say("sending");
    const missing = row.parts.filter((part) => !part.stored);
    const lane = async () => {
      for (let part = missing.shift(); part; part = missing.shift()) await this.#sendPart(part, row.part_size);
    };
    const end = (problem) => {
      missing.length = 0;
      throw problem;
    };
    const lanes = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => lane().catch(end)));
    const failed = lanes.find(({ status }) => status === "rejected");
    if (failed) throw failed.reason;
  }

  async #sendPart({ number, size, url }, partSize) {
    const { signal } = this.control;
    if (signal.aborted) throw new Stopped();
    const from = (number - 1) * partSize;
    const onProgress = (sent) => {
      if (signal.aborted) return;
      this.moving.set(number, Math.min(sent, size));
      this.#say("sending");
    };
    await this.api.putBytes(url, this.file.slice(from, from + size), { onProgress, signal });
    if (signal.aborted) return;
    this.moving.delete(number);
    this.stored += size;
    this.#say("sending");
  }

  #say(state) {
    this.state = state;
    const moving = state === "sending" ? [...this.moving.values()].reduce((sum, value) => sum + value, 0) : 0;
    this.onChange({ state, sent: this.stored + moving, size: this.file.size });
  }

  pause() {
    if (this.paused || this.state === "done") return;
    this.paused = {};
    this.paused.over = new Promise((done) => (this.paused.end = done));
    this.control?.abort();
    this.#say("paused");
  }

  resume() {
    const { paused } = this;
    this.paused = null;
    paused?.end();
    if (paused) this.#say("sending");
  }

  /** Give up: run() rejects with Stopped. */
  stop() {
    this.ended = true;
    this.control?.abort();
    this.resume();
  }
}

function pass(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

/** sha256 of a file in hex; "" for one that is too large to hash in memory. */
export async function sha256(file) {
  if (file.size > HASHED_BYTES) return "";
  const hash = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
  return [...new Uint8Array(hash)].map((value) => value.toString(16).padStart(2, "0")).join("");
}

/** What is remembered of the file on its way under a name: {key, name, size, lastModified}, or null. */
export function recall(storage, place) {
  try {
    return JSON.parse(storage.getItem(place));
  } catch {
    return null;
  }
}

/** The key of a file: the one it was begun with, else a new one that takes the place of what was remembered. */
export function remember(storage, place, file) {
  const known = recall(storage, place);
  if (known && NAMES.every((name) => known[name] === file[name])) return known.key;
  const made = { key: crypto.randomUUID(), ...Object.fromEntries(NAMES.map((name) => [name, file[name]])) };
  storage.setItem(place, JSON.stringify(made));
  return made.key;
}

const TAKEN = ["glb", "zip", "obj", "ply", "stl"];
const FBX = ["Kaydara FBX", "; FBX"];

/** Why files are refused before a byte is sent: "fbx", "several", "empty", "kind"; "" when they may go. */
export async function unfit(files) {
  if (files.length !== 1) return "several";
  const [file] = files;
  if (!file.size) return "empty";
  const ending = file.name.split(".").pop().toLowerCase();
  const head = new TextDecoder("latin1").decode(await file.slice(0, 32).arrayBuffer());
  if (ending === "fbx" || FBX.some((start) => head.startsWith(start))) return "fbx";
  return TAKEN.includes(ending) ? "" : "kind";
}
