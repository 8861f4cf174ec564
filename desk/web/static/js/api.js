// Requests to the desk's server: same origin, JSON, with a time limit.

import { released } from "./dom.js";

const LIMIT_MS = 10000;
let onUnauthorized = () => {};

/** What to do when the server no longer knows who we are. */
export const setUnauthorized = (act) => { onUnauthorized = act; };

/** The server refused (`status`, a `code` with its `values`, English words, headers) or did not answer (`status` 0).
 * How it is told: refusalText in words.js. */
export class Refused extends Error {
  constructor(status, said = {}, headers = null) {
    super(typeof said.error === "string" ? said.error : `HTTP ${status}`);
    this.status = status;
    this.code = typeof said.code === "string" ? said.code : "";
    this.values = said.values ?? {};
    this.headers = headers;
  }
}

/** One request; resolves to the response. Rejects with Refused. */
export async function send(method, path, body, type = "application/json", limitMs = LIMIT_MS, headers = {}) {
  const options = { method, headers, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(limitMs) };
  if (body !== undefined) {
    options.body = type === "application/json" ? JSON.stringify(body) : body;
    options.headers = { ...headers, "Content-Type": type };
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Refused(0);
  }
  if (answer.ok) return answer;
  if (answer.status === 401 && path !== "/api/login") onUnauthorized();
  throw new Refused(answer.status, (await answer.json().catch(() => null)) ?? {}, answer.headers);
}

/** What comes of a request, when no mouse button is down. */
async function settled(request, read) {
  try {
    return await read(await request);
  } finally {
    await released();
  }
}

export const get = (path) => settled(send("GET", path), (answer) => answer.json());

/** Resolves to the answer's document, or null if it has none. */
export const post = (path, body = {}) =>
  settled(send("POST", path, body), (answer) => (answer.status === 204 ? null : answer.json().catch(() => null)));

/** "?a=1&b=2" of what is not empty. */
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length ? "?" + new URLSearchParams(given.map(([name, value]) => [name, String(value)])) : "";
}

/** For a question that is put again and again. What comes of one, `take(answer)` or `refuse(Refused)`, counts unless a
 * later one has been answered: the last wins, and a slow server is not asked in vain. */
export function asker(take, refuse) {
  let [asked, answered] = [0, 0];
  return async (question) => {
    const mine = ++asked;
    const settle = (act, what) => {
      if (mine < answered) return;
      answered = mine;
      act(what);
    };
    await question().then((answer) => settle(take, answer), (error) => {
      if (!(error instanceof Refused)) throw error;
      settle(refuse, error);
    });
  };
}

export const incidentPath = (id, tail = "") => `/api/incidents/${encodeURIComponent(id)}${tail}`;
