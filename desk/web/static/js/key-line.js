// The line about single keys: why the last one did nothing, and that keys go to a field while a call waits.

import { afterPress, setText, unpressed } from "./dom.js";
import { t } from "./i18n.js";
import { enabled, typing } from "./keys.js";
import { isUnanswered, on, openCalls } from "./store.js";

const SAID_MS = 6000;

let said = ""; // why the last key did nothing, for a while
let saidTimer = 0;

/** `why`: "" where the key did something. */
export function say(key, why) {
  const mine = said = why && `${key}: ${why}`;
  clearTimeout(saidTimer);
  if (why) saidTimer = setTimeout(() => unpressed(() => { if (said === mine) say(key, ""); }), SAID_MS);
  render();
}

/** A key goes to the field that has the focus, or to the window that is open: said before it is pressed in vain. */
export function render() {
  const taken = document.querySelector("dialog[open]") || typing(document.activeElement);
  const text = said || (enabled() && taken && openCalls().some(isUnanswered) ? t("key-a.typing") : "");
  const line = document.getElementById("key-line");
  line.hidden = !text;
  setText(line, text);
}

on("incidents", render);
for (const event of ["focusin", "focusout"]) document.addEventListener(event, () => afterPress(render)); // when it has moved
