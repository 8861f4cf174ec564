// Key A: which call it takes, and why it takes none. One rule: the call that is shown if it waits, else the one that has
// waited longest (which is then shown). What the panel shows may be over: an exercise that a real call has ended.

import { act } from "./actions.js";
import { setText } from "./dom.js";
import { t } from "./i18n.js";
import { enabled, typing } from "./keys.js";
import { mayNot } from "./rights.js";
import { isUnanswered, on, openCalls, select, selectedIncident } from "./store.js";

const SAME_PRESS_MS = 700; // A twice is one answer, as a double click is: the second would take a call that nobody has looked at
const SAID_MS = 6000;

let tookMs = -Infinity;
let said = ""; // why the last A took nothing, for a while
let saidTimer = 0;

const waiting = () => openCalls().filter(isUnanswered);

/** Key A. */
export function accept() {
  if (performance.now() - tookMs < SAME_PRESS_MS) return;
  const calls = waiting();
  const why = mayNot("POST /api/incidents/{incident_id}/accept") || (calls.length ? "" : t("key-a.none"));
  say(why);
  if (why) return;
  tookMs = performance.now();
  const { id } = calls.find((one) => one.id === selectedIncident()?.id) ?? calls[0];
  if (selectedIncident()?.id !== id) select("incident", id);
  act(id, "accept");
}

function say(why) {
  said = why;
  clearTimeout(saidTimer);
  if (why) saidTimer = setTimeout(() => say(""), SAID_MS);
  render();
}

/** A key goes to the field that has the focus, or to the window that is open: said before it is pressed in vain. */
export function render() {
  const taken = document.querySelector("dialog[open]") || typing(document.activeElement);
  const text = said || (enabled() && taken && waiting().length ? t("key-a.typing") : "");
  const line = document.getElementById("key-line");
  line.hidden = !text;
  setText(line, text);
}

on("incidents", render);
for (const event of ["focusin", "focusout"]) document.addEventListener(event, () => setTimeout(render)); // when it has moved
