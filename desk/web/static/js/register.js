// The register: every call with its times and outcome, filters, files to take away. Drills stand apart from calls.

import { button, el, keyed, plain, setAttribute, setText, table } from "./dom.js";
import { filters } from "./filters.js";
import { t } from "./i18n.js";
import { playSoon } from "./recordings.js";
import { on, putIncident, seemsActual, select, store } from "./store.js";
import { momentText, spanText, stampText } from "./time.js";
import { endText, outcomeText, placeText, pressedAt, pressedText, siteText } from "./words.js";

const REFRESH_MS = 1000;
const HEADS = ["pressed", "place", "site", "state", "outcome", "accepted", "by", "press", "recording", "id"];

const PLAY = HEADS.indexOf("recording");

let rows = [];
let parts = null;
let list = null;
let timer = 0;

function callTable(testid) {
  const body = el("tbody");
  return Object.assign(table({ testid }, HEADS.map((name) => ({ "data-t": `head.${name}` })), body), { body });
}

export function mount(host) {
  parts = { count: el("p", { class: "none", role: "status" }), calls: callTable("register-calls"), drills: callTable("register-drills"),
    drillsTitle: el("h2", { "data-t": "register.drills" }) };
  const choices = {
    status: { values: () => ["actual", "drill"], textOf: (value) => t(`register.status-${value}`) },
    state: { values: () => ["open", "closed"], textOf: (value) => t(`register.state-${value}`), unset: "all" },
    outcome: { values: () => store.config.outcomes ?? [], textOf: outcomeText },
    site: { values: () => ["public", "school"], textOf: siteText },
  };
  list = filters("register", { list: "/api/incidents", files: "/api/export", choices }, (found) => {
    rows = found;
    draw();
  });
  host.append(list.bar, list.wrong, el("h2", { "data-t": "register.calls" }), parts.count, parts.calls, parts.drillsTitle, parts.drills);
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
  setAttribute(row, "data-status", seemsActual(incident) ? "actual" : incident.status);
  setAttribute(row, "data-selected", store.selected?.id === incident.id);
  const texts = [pressedText(incident, stampText), null, siteText(incident.location?.site), t(`state-short.${seemsActual(incident) ? incident.state : "drill"}`), endText(incident),
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
  const [calls, drills] = [rows.filter(seemsActual), rows.filter((one) => !seemsActual(one))];
  keyed(parts.calls.body, calls, (one) => one.id, createRow, updateRow);
  keyed(parts.drills.body, drills, (one) => one.id, createRow, updateRow);
  parts.calls.hidden = !calls.length;
  parts.drills.hidden = parts.drillsTitle.hidden = !drills.length;
  setText(parts.count, calls.length ? t("register.count", { n: calls.length }) : t("register.none"));
}

/** Draws everything anew, in the present language. */
export function render() {
  list.render();
  draw();
}

/** Where `/` goes in this view. */
export const focusFilter = () => list.fields.status.focus();

on("incidents", () => {
  if (store.view !== "register" || timer) return;
  timer = setTimeout(() => { timer = 0; list.read(); }, REFRESH_MS);
});
on("selected", draw);
on("view", (view) => {
  if (view !== "register") return;
  render();
  list.read();
});
