// Why somebody looks where nobody asks for help: asked before the picture is opened, and kept.

import { button, el } from "./dom.js";
import { t } from "./i18n.js";

const LEAST = 3;
const LONGEST = 200;

/** A form in one line, hidden until `ask`. `back`: what gets the focus when it is left. Gives { node, ask, hide }. */
export function reasonForm(testid, back) {
  let then = null;
  const field = el("input", { type: "text", testid, maxlength: String(LONGEST), autocomplete: "off", on: { keydown: leave } });
  const label = el("span");
  const missing = el("p", { class: "wrong", role: "alert", testid: `${testid}-missing` });
  const open = button({ class: "do primary", testid: `${testid}-open` }, submit);
  const node = el("form", { class: "reason", hidden: true, on: { submit: (event) => { event.preventDefault(); submit(); } } },
    el("label", {}, label, field), open, missing);

  function submit() {
    const reason = field.value.trim();
    missing.textContent = reason.length < LEAST ? t("reason.short", { n: LEAST }) : "";
    if (missing.textContent) return field.focus();
    const go = then;
    hide();
    go?.(reason);
    back.focus();
  }

  function leave(event) {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    hide();
    back.focus();
  }

  function hide() {
    node.hidden = true;
    then = null;
    field.value = missing.textContent = "";
  }

  /** Calls `go(reason)` once it is given. `question`, `answer`: what stands at the field and on the button. */
  function ask(go, question = t("reason.label"), answer = t("reason.open")) {
    label.textContent = question;
    open.textContent = answer;
    then = go;
    node.hidden = false;
    field.focus();
  }
  return { node, ask, hide };
}
