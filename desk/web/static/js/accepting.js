// Key A: which call it takes, and why it takes none. One rule: the call that is shown if it waits, else the one that has
// waited longest (which is then shown). What the panel shows may be over: an exercise that a real call has ended.

import { act } from "./actions.js";
import { t } from "./i18n.js";
import { mayNot } from "./rights.js";
import { isUnanswered, openCalls, select, selectedIncident } from "./store.js";

const SAME_PRESS_MS = 700; // A twice is one answer, as a double click is: the second would take a call that nobody has looked at

let tookMs = -Infinity;

/** Key A: why it takes nothing, else "". */
export function accept() {
  if (performance.now() - tookMs < SAME_PRESS_MS) return "";
  const calls = openCalls().filter(isUnanswered);
  const why = mayNot("POST /api/incidents/{incident_id}/accept") || (calls.length ? "" : t("key.none-waits"));
  if (why) return why;
  tookMs = performance.now();
  const { id } = calls.find((one) => one.id === selectedIncident()?.id) ?? calls[0];
  if (selectedIncident()?.id !== id) select("incident", id);
  act(id, "accept");
  return "";
}
