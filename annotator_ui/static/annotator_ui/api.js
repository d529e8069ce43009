// The only module that talks to the server. Every refusal becomes an ApiError with the server's own words.

import { t } from "./words.js";

const BASE = "/api/v1/";
const page = { csrf: () => "", user: "", expired: async () => false };

export class ApiError extends Error {
  /** status 0: the server was not reached. */
  constructor(status, code, message, fields = {}) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.fields = fields;
  }
}

/**
 * csrf: a function that gives the current CSRF token (it changes at login); user: id of the page's person, under whom
 * alone the server may store what the page sends; expired(problem): the login has ended, true when it is back.
 */
export function configure(values) {
  Object.assign(page, values);
}

export function address(path) {
  return path.startsWith("/") || path.startsWith("http") ? path : BASE + path;
}

function explain(status, body) {
  const error = body && body.error;
  if (error) return new ApiError(status, error.code, error.message, error.fields || {});
  if (status === 413) return new ApiError(413, "too_large", t("The server refuses a file of this size."));
  return new ApiError(status, "error", t("The server answered {status}.", { status }));
}

function headers(method, json) {
  const made = { Accept: "application/json" };
  if (json) made["Content-Type"] = "application/json";
  if (method !== "GET") {
    made["X-CSRFToken"] = page.csrf();
    if (page.user) made["X-Person"] = page.user;
  }
  return made;
}

/** options: keepalive, for a page that closes; login: false where an ended login is the caller's own affair. */
async function call(method, path, body, options = {}) {
  const isForm = body instanceof FormData;
  let answer;
  try {
    answer = await fetch(address(path), {
      method,
      credentials: "same-origin",
      headers: headers(method, body !== undefined && !isForm),
      body: body === undefined ? undefined : isForm ? body : JSON.stringify(body),
      keepalive: options.keepalive || false,
    });
  } catch {
    throw new ApiError(0, "offline", t("The server cannot be reached."));
  }
  if (answer.status === 204) return null;
  const data = await answer.json().catch(() => null);
  if (answer.ok) return data;
  const problem = explain(answer.status, data);
  if (answer.status === 401 && options.login !== false && (await page.expired(problem))) return call(method, path, body, { ...options, login: false });
  throw problem;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}, options) => call("POST", path, body, options);
export const put = (path, body, options) => call("PUT", path, body, options);
export const patch = (path, body) => call("PATCH", path, body);
export const remove = (path) => call("DELETE", path);

/** All rows of a list, page by page, up to `limit`. */
export async function all(path, limit = 500) {
  const rows = [];
  let next = path;
  while (next && rows.length < limit) {
    const page = await get(next);
    if (Array.isArray(page)) return page;
    rows.push(...page.results);
    const cursor = page.next;
    next = cursor ? (cursor.includes("/") ? cursor : withQuery(path, { cursor })) : null;
  }
  return rows;
}

export function withQuery(path, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value !== undefined && value !== ""));
  return query.size ? `${path}${path.includes("?") ? "&" : "?"}${query}` : path;
}

/** Bytes of a file as an ArrayBuffer. */
export async function bytes(url) {
  let answer;
  try {
    answer = await fetch(address(url), { credentials: "same-origin" });
  } catch {
    throw new ApiError(0, "offline", t("The server cannot be reached."));
  }
  if (!answer.ok) throw explain(answer.status, await answer.json().catch(() => null));
  return answer.arrayBuffer();
}

/** Send a form with files; onProgress gets 0..1. */
export function upload(path, form, onProgress = () => {}) {
  return transfer("POST", path, form, { onProgress: (sent, whole) => onProgress(sent / whole) });
}

/** PUT bytes to an address of ours, or to a link of the store; onProgress gets bytes sent, `signal` ends it. */
export async function putBytes(url, blob, { onProgress, signal, login = true } = {}) {
  try {
    await transfer("PUT", url, blob, { onProgress, signal });
  } catch (problem) {
    if (problem.status !== 401 || !login || !(await page.expired(problem))) throw problem;
    await putBytes(url, blob, { onProgress, signal, login: false });
  }
}

/** fetch reports no upload progress, so this is the older request. A link of the store gets no headers of ours. */
function transfer(method, path, body, { onProgress = () => {}, signal } = {}) {
  return new Promise((resolve, reject) => {
    const url = new URL(address(path), window.location.href);
    const isOurs = url.origin === window.location.origin;
    const request = new XMLHttpRequest();
    request.open(method, url);
    if (isOurs) request.responseType = "json";
    for (const [name, value] of Object.entries(isOurs ? headers(method, false) : {})) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded, event.total);
    request.onerror = () => reject(new ApiError(0, "offline", t("The server cannot be reached.")));
    request.onabort = () => reject(new ApiError(0, "stopped", t("The transfer was stopped.")));
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else reject(isOurs ? explain(request.status, request.response) : new ApiError(request.status, "link_refused", t("The store answered {status}.", { status: request.status })));
    };
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    if (signal?.aborted) return void request.onabort();
    request.send(body);
  });
}
