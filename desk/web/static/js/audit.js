// The audit list: who opened picture and sound of which place, why, and for how long.

import { el, keyed, plain, setAttribute, setText, table } from "./dom.js";
import { filters } from "./filters.js";
import { t } from "./i18n.js";
import { on } from "./store.js";
import { spanText, stampText } from "./time.js";
import { placeOf, term } from "./words.js";

const HEADS = ["opened", "lasted", "who", "where", "camera", "reason", "call", "ended"];

let parts = null;
let list = null;
let rows = [];

export function mount(host) {
  parts = { count: el("p", { class: "none", role: "status" }), body: el("tbody") };
  list = filters("audit", { list: "/api/openings", files: "/api/openings", choices: {} }, (found) => {
    rows = found;
    draw();
  });
  parts.table = table({ testid: "audit-list" }, HEADS.map((name) => ({ "data-t": `audit.${name}` })), parts.body);
  host.append(list.bar, list.wrong, el("h2", { "data-t": "audit.title" }), el("p", { class: "none", "data-t": "audit.note" }), parts.count, parts.table);
}

function updateRow(row, one) {
  const lasted = one.ended_ms === null ? t("audit.still") : spanText(one.ended_ms - one.at_ms);
  const ended = term("opening-ended", one.ended);
  const texts = [stampText(one.at_ms), lasted, plain(one.by, 64), placeOf(one.device_id),
    plain(one.camera, 120) || t("audit.own"), plain(one.reason, 200) || t("audit.within"), plain(one.incident_id, 60), ended];
  texts.forEach((text, index) => setText(row.children[index], text));
  setAttribute(row, "data-open", String(one.ended_ms === null));
}

function draw() {
  keyed(parts.body, rows, (one) => String(one.n), () => el("tr", {}, ...HEADS.map(() => el("td"))), updateRow);
  parts.table.hidden = !rows.length;
  setText(parts.count, rows.length ? "" : t("audit.none"));
}

/** Draws everything anew, in the present language. */
export function render() {
  list.render();
  draw();
}

on("view", (view) => {
  if (view !== "audit") return;
  render();
  list.read();
});
