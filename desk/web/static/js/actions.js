// What the officer does with a call. A step waits for the one before it, the same step twice is one; what failed is said,
// never swallowed.

import { Refused, get, incidentPath, post } from "./api.js";
import { putIncident, tell } from "./store.js";
import { refusalText } from "./words.js";

const begun = new Map(); // incident id -> Map of its steps that the server has not answered: what -> promise
const failures = new Map(); // incident id -> Refused

export const isBusy = (id) => begun.has(id);
export const failure = (id) => (failures.has(id) ? refusalText(failures.get(id)) : "");

/** `what`: accept, dispatch, close, note. Resolves to whether the server took it; behind a refusal nothing is sent. */
export async function act(id, what, body = {}) {
  const steps = begun.get(id) ?? new Map();
  if (steps.has(what)) return false;
  const before = [...steps.values()].at(-1) ?? Promise.resolve(true);
  steps.set(what, before.then((isTaken) => isTaken && request(id, what, body)));
  begun.set(id, steps);
  failures.delete(id);
  tell("busy", id);
  try {
    return await steps.get(what);
  } finally {
    steps.delete(what);
    if (!steps.size) begun.delete(id);
    tell("busy", id);
  }
}

async function request(id, what, body) {
  try {
    putIncident(await post(incidentPath(id, `/${what}`), body));
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    failures.set(id, error);
    get(incidentPath(id)).then(putIncident, () => {}); // somebody else may have been faster: show how it stands
    return false;
  }
}
