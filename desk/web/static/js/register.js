// The register: every call with its times and outcome, filters, files to take away. Drills stand apart from calls.

import { Refused, get, query } from "./api.js";
import { button, el, keyed, plain, setAttribute, setText } from "./dom.js";
import { t } from "./i18n.js";
import { playSoon } from "./recordings.js";
import { isActual, on, putIncident, select, store } from "./store.js";
import { momentText, spanText, stampText, typedDayMs } from "./time.js";
import { endText, outcomeText, placeText, pressedAt, pressedText, refusalText, siteText } from "./words.js";

const LIMIT = 500;
const REFRESH_MS = 1000;
const HEADS = ["pressed", "place", "site", "state", "outcome", "accepted", "by", "press", "recording", "id"];

const PLAY = HEADS.indexOf("recording");

const fields = {};
let rows = [];
let parts = null;
let timer = 0;
let asked = 0;

function chooser(name, values, textOf) {
  fields[name] = el("select", { testid: `register-${name}`, on: { change: read } });
  fields[name].fill = () => {
    const chosen = fields[name].value;
    fields[name].replaceChildren(el("option", { value: "", text: t("register.all") }),
      ...values().map((value) => el("option", { value, text: textOf(value) })));
    fields[name].value = chosen;
  };
  return el("label", {}, el("span", { "data-t": `register.${name}` }), fields[name]);
}

/** A day, typed as this page writes dates: a browser's own field writes them in the browser's language. */
function dayField(name) {
  const field = el("input", { type: "text", inputmode: "numeric", autocomplete: "off", size: "11", maxlength: "10", testid: `register-${name}`,
    "data-t-placeholder": "date.form", on: { change: read } });
  fields[name] = field;
  return el("label", {}, el("span", { "data-t": `register.${name}` }), field);
}

function dayMs(field, days = 0) {
  const ms = typedDayMs(field.value, days);
  setAttribute(field, "aria-invalid", field.value.trim() && ms === "" ? "true" : null);
  return ms;
}

function filters() {
  return {
    state: fields.state.value || "all", status: fields.status.value, site: fields.site.value, outcome: fields.outcome.value,
    device_id: fields.device.value, from_ms: dayMs(fields.from), to_ms: dayMs(fields.to, 1),
  };
}

function table(testid) {
  const body = el("tbody");
  const head = el("tr", {}, ...HEADS.map((name) => el("th", { scope: "col", "data-t": `head.${name}` })));
  const made = el("div", { class: "table", testid, tabindex: "0" }, el("table", {}, el("thead", {}, head), body));
  made.body = body;
  return made;
}

export function mount(host) {
  parts = {
    csv: el("a", { class: "file", testid: "export-csv", download: "", "data-t": "register.csv" }),
    json: el("a", { class: "file", testid: "export-json", download: "", "data-t": "register.json" }),
    count: el("p", { class: "none", role: "status" }), calls: table("register-calls"), drills: table("register-drills"),
    drillsTitle: el("h2", { "data-t": "register.drills" }), wrong: el("p", { class: "wrong", role: "alert" }),
  };
  const bar = el("form", { class: "filters", on: { submit: (event) => event.preventDefault() } },
    chooser("status", () => ["actual", "drill"], (value) => t(`register.status-${value}`)),
    chooser("state", () => ["open", "closed"], (value) => t(`register.state-${value}`)),
    chooser("outcome", () => store.config.outcomes ?? [], outcomeText), chooser("site", () => ["public", "school"], siteText),
    chooser("device", () => [...store.columns.keys()].sort(), (value) => value), dayField("from"), dayField("to"),
    button({ class: "quiet", "data-t": "register.clear", testid: "register-clear" }, clear), el("span", { class: "files" }, parts.csv, parts.json));
  host.append(bar, parts.wrong, el("h2", { "data-t": "register.calls" }), parts.count, parts.calls, parts.drillsTitle, parts.drills);
}

function clear() {
  for (const field of Object.values(fields)) field.value = "";
  read();
}

function createRow(incident) {
  const row = el("tr", {}, ...HEADS.map(() => el("td")));
  const id = incident.id;
  row.children[1].append(button({ class: "row-open" }, (event) => { event.stopPropagation(); open(id); }));
  row.addEventListener("click", () => open(id));
  return row;
}

function open(id) {
  const incident = rows.find((one) => one.id === id);
  if (incident) putIncident(incident);
  select("incident", id);
}

const since = (incident, ms) => (ms ? `${momentText(ms)} (+${spanText(Math.max(0, ms - pressedAt(incident).ms))})` : "");

function updateRow(row, incident) {
  setAttribute(row, "data-id", incident.id);
  setAttribute(row, "data-outcome", incident.outcome || "");
  setAttribute(row, "data-state", incident.state);
  setAttribute(row, "data-status", incident.status);
  setAttribute(row, "data-selected", store.selected?.id === incident.id);
  const texts = [pressedText(incident, stampText), null, siteText(incident.location?.site), t(`state-short.${isActual(incident) ? incident.state : "drill"}`), endText(incident),
    since(incident, incident.accepted_ms), plain(incident.accepted_by || incident.by, 40), String(incident.press), null, plain(incident.id, 60)];
  texts.forEach((text, index) => { if (text !== null) setText(row.children[index], text); });
  setText(row.querySelector(".row-open"), placeText(incident));
  const cell = row.children[PLAY];
  if (!incident.recorded) cell.replaceChildren();
  else if (!cell.firstChild) cell.append(button({ class: "row-open", testid: "row-play" }, (event) => { event.stopPropagation(); playSoon(incident.id); open(incident.id); }));
  if (cell.firstChild) setText(cell.firstChild, t("register.play"));
}

function draw() {
  if (!parts) return;
  const [calls, drills] = [rows.filter(isActual), rows.filter((one) => !isActual(one))];
  keyed(parts.calls.body, calls, (one) => one.id, createRow, updateRow);
  keyed(parts.drills.body, drills, (one) => one.id, createRow, updateRow);
  parts.calls.hidden = !calls.length;
  parts.drills.hidden = parts.drillsTitle.hidden = !drills.length;
  setText(parts.count, calls.length ? t("register.count", { n: calls.length }) : t("register.none"));
}

/** Reads the register with the present filters. The last question wins. */
export async function read() {
  const mine = ++asked;
  const chosen = filters();
  setAttribute(parts.csv, "href", "/api/export.csv" + query(chosen));
  setAttribute(parts.json, "href", "/api/export.json" + query(chosen));
  try {
    const found = await get("/api/incidents" + query({ ...chosen, limit: LIMIT }));
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
  for (const field of Object.values(fields)) field.fill?.();
  draw();
}

/** Where `/` goes in this view. */
export const focusFilter = () => fields.status.focus();

on("incidents", () => {
  if (store.view !== "register" || timer) return;
  timer = setTimeout(() => { timer = 0; read(); }, REFRESH_MS);
});
on("selected", draw);
on("view", (view) => {
  if (view !== "register") return;
  render();
  read();
});
