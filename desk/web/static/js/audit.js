// The audit list: who opened picture and sound of which place, why, and for how long.

import { Refused, get, query } from "./api.js";
import { button, el, keyed, plain, setAttribute, setText } from "./dom.js";
import { t } from "./i18n.js";
import { on, store } from "./store.js";
import { spanText, stampText, typedDayMs } from "./time.js";
import { placeText, refusalText, term } from "./words.js";

const LIMIT = 500;
const HEADS = ["opened", "lasted", "who", "where", "camera", "reason", "call", "ended"];

const fields = {};
let parts = null;
let rows = [];
let asked = 0;

/** A day, typed as this page writes dates. */
function dayField(name) {
  const field = el("input", { type: "text", inputmode: "numeric", autocomplete: "off", size: "11", maxlength: "10", testid: `audit-${name}`,
    "data-t-placeholder": "date.form", on: { change: read } });
  fields[name] = field;
  return el("label", {}, el("span", { "data-t": `register.${name}` }), field);
}

function dayMs(field, days = 0) {
  const ms = typedDayMs(field.value, days);
  setAttribute(field, "aria-invalid", field.value.trim() && ms === "" ? "true" : null);
  return ms;
}

function deviceField() {
  fields.device = el("select", { testid: "audit-device", on: { change: read } });
  return el("label", {}, el("span", { "data-t": "register.device" }), fields.device);
}

function fillDevices() {
  const chosen = fields.device.value;
  fields.device.replaceChildren(el("option", { value: "", text: t("register.all") }),
    ...[...store.columns.keys()].sort().map((value) => el("option", { value, text: value })));
  fields.device.value = chosen;
}

export function mount(host) {
  const head = el("tr", {}, ...HEADS.map((name) => el("th", { scope: "col", "data-t": `audit.${name}` })));
  parts = {
    csv: el("a", { class: "file", testid: "audit-csv", download: "", "data-t": "register.csv" }),
    json: el("a", { class: "file", testid: "audit-json", download: "", "data-t": "register.json" }),
    count: el("p", { class: "none", role: "status" }), wrong: el("p", { class: "wrong", role: "alert" }), body: el("tbody"),
  };
  const bar = el("form", { class: "filters", on: { submit: (event) => event.preventDefault() } },
    deviceField(), dayField("from"), dayField("to"), button({ class: "quiet", "data-t": "register.clear" }, clear),
    el("span", { class: "files" }, parts.csv, parts.json));
  parts.table = el("div", { class: "table", testid: "audit-list", tabindex: "0" }, el("table", {}, el("thead", {}, head), parts.body));
  host.append(bar, parts.wrong, el("h2", { "data-t": "audit.title" }), el("p", { class: "none", "data-t": "audit.note" }), parts.count, parts.table);
}

function clear() {
  for (const field of Object.values(fields)) field.value = "";
  read();
}

function updateRow(row, one) {
  const column = store.columns.get(one.device_id);
  const lasted = one.ended_ms === null ? t("audit.still") : spanText(one.ended_ms - one.at_ms);
  const ended = term("opening-ended", one.ended);
  const texts = [stampText(one.at_ms), lasted, plain(one.by, 64), column ? placeText(column) : plain(one.device_id, 40),
    plain(one.camera, 120) || t("audit.own"), plain(one.reason, 200) || t("audit.within"), plain(one.incident_id, 60), ended];
  texts.forEach((text, index) => setText(row.children[index], text));
  setAttribute(row, "data-open", String(one.ended_ms === null));
}

function draw() {
  keyed(parts.body, rows, (one) => String(one.n), () => el("tr", {}, ...HEADS.map(() => el("td"))), updateRow);
  parts.table.hidden = !rows.length;
  setText(parts.count, rows.length ? "" : t("audit.none"));
}

/** Reads the list with the present filters. The last question wins. */
export async function read() {
  const mine = ++asked;
  const chosen = { device_id: fields.device.value, from_ms: dayMs(fields.from), to_ms: dayMs(fields.to, 1) };
  setAttribute(parts.csv, "href", "/api/openings.csv" + query(chosen));
  setAttribute(parts.json, "href", "/api/openings.json" + query(chosen));
  try {
    const found = await get("/api/openings" + query({ ...chosen, limit: LIMIT }));
    if (mine !== asked) return;
    rows = found;
    setText(parts.wrong, "");
  } catch (error) {
    if (!(error instanceof Refused) || mine !== asked) return;
    setText(parts.wrong, refusalText(error));
  }
  draw();
}

/** Draws everything anew, in the present language. */
export function render() {
  fillDevices();
  draw();
}

on("view", (view) => {
  if (view !== "audit") return;
  render();
  read();
});
