// What the officer does with a call. One request at a time for each call; what failed is said, never swallowed.

import { Refused, get, incidentPath, post } from "./api.js";
import { putIncident, tell } from "./store.js";
import { refusalText } from "./words.js";

const busy = new Set();
const failures = new Map(); // incident id -> Refused

export const isBusy = (id) => busy.has(id);
export const failure = (id) => (failures.has(id) ? refusalText(failures.get(id)) : "");

/** `what`: accept, dispatch, close, note. Resolves to whether the server took it. */
export async function act(id, what, body = {}) {
  if (busy.has(id)) return false;
  busy.add(id);
  failures.delete(id);
  tell("busy", id);
  try {
    putIncident(await post(incidentPath(id, `/${what}`), body));
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    failures.set(id, error);
    get(incidentPath(id)).then(putIncident, () => {}); // somebody else may have been faster: show how it stands
    return false;
  } finally {
    busy.delete(id);
    tell("busy", id);
  }
}
