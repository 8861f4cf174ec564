// The strips across the page: one for each open call, one for each column that fell silent.

import { button, el, keyed, plain, setAttribute, setText } from "./dom.js";
import { t } from "./i18n.js";
import { act } from "./actions.js";
import { gate } from "./rights.js";
import { chime } from "./sound.js";
import { isLouder, isRevealed, isUnanswered, on, openCalls, select, store, go, tell } from "./store.js";
import { ageText, nowMs } from "./time.js";
import { badges, isMuted, isSilent, placeText, pressedAt, pressedText, silenceTexts, silentAge, siteText, stateText } from "./words.js";

const COMPACT_FROM = 4;
const NOTED = "sos-noted";

const noted = new Set(JSON.parse(sessionStorage.getItem(NOTED) ?? "[]"));
const chimed = new Set();
let revealed = 0; // open exercises that are known to be some

/** Unanswered calls first, oldest at the top: a new one never moves those that are there. */
function inOrder() {
  const calls = openCalls();
  return [...calls.filter(isUnanswered), ...calls.filter((one) => !isUnanswered(one))];
}

function createStrip({ id }) {
  const open = button({ class: "strip-place", testid: "strip-open" }, () => { go("board"); select("incident", id); });
  const text = el("div", { class: "strip-text" }, open, el("div", { class: "strip-facts" }));
  const accept = button({ class: "strip-accept", testid: "strip-accept" }, () => {
    select("incident", id);
    act(id, "accept");
  });
  // The ticking age is for the eyes only: a live region would be read out every second.
  const age = el("span", { class: "strip-age", testid: "strip-age", "aria-hidden": "true" });
  const node = el("article", { class: "strip", role: "alert", testid: "strip", "data-id": id }, text,
    el("span", { class: "strip-state" }), age, accept);
  return node;
}

function updateStrip(node, incident) {
  const waits = isUnanswered(incident);
  const before = Number(node.dataset.press ?? incident.press);
  setAttribute(node, "data-press", incident.press);
  setAttribute(node, "data-state", incident.state);
  setAttribute(node, "data-waits", waits);
  setAttribute(node, "data-louder", isLouder(incident));
  setAttribute(node, "data-selected", store.selected?.id === incident.id);
  setText(node.querySelector(".strip-place"), placeText(incident));
  const facts = [
    { kind: "id", text: plain(incident.device_id, 40) },
    { kind: "site", text: siteText(incident.location?.site) },
    { kind: "pressed", text: t("strip.pressed", { time: pressedText(incident) }) },
    ...badges(incident).map((badge) => ({ ...badge, badge: true })),
  ].filter((fact) => fact.text);
  keyed(node.querySelector(".strip-facts"), facts, (fact) => fact.kind, () => el("span"), (span, fact) => {
    setAttribute(span, "class", fact.badge ? `badge badge-${fact.kind}` : `fact fact-${fact.kind}`);
    setText(span, fact.text);
  });
  setText(node.querySelector(".strip-state"), waits ? "" : stateText(incident));
  const accept = node.querySelector(".strip-accept");
  if (!waits && document.activeElement === accept) node.querySelector(".strip-place").focus(); // not lost with the button
  accept.hidden = !waits;
  gate(accept, "POST /api/incidents/{incident_id}/accept");
  setText(accept, t("do.accept"));
  setAttribute(accept, "aria-label", `${t("do.accept")}: ${placeText(incident)}`);
  setAge(node, incident);
  if (incident.press > before) pulse(node);
}

function setAge(node, incident) {
  setText(node.querySelector(".strip-age"), ageText(nowMs() - pressedAt(incident).ms));
}

function pulse(node) {
  node.classList.remove("pulse");
  void node.offsetWidth; // begins the animation anew
  node.classList.add("pulse");
}

function renderStrips() {
  const calls = inOrder();
  const host = document.getElementById("strips");
  setAttribute(host, "data-compact", calls.length >= COMPACT_FROM);
  keyed(host, calls, (one) => one.id, createStrip, updateStrip);
  const waiting = calls.filter(isUnanswered).length;
  const tally = document.getElementById("tally");
  tally.hidden = calls.length < COMPACT_FROM;
  setText(tally, t("tally", { n: calls.length, waiting }));
  const title = waiting ? `(${waiting}) ${placeText(calls[0])}` : t("title", { name: plain(store.config.name, 40) });
  if (document.title !== title) document.title = title;
  setAttribute(document.getElementById("favicon"), "href", waiting ? "/static/alarm.svg" : "/static/calm.svg");
}

// -- columns that fell silent

const silence = (column) => `${column.device_id} ${column.silent_since_ms}`;

function createSilence({ device_id: id }) {
  const show = button({ class: "strip-place" }, () => { go("board"); select("column", id); });
  const note = button({ class: "silence-note", testid: `silent-noted-${id}` }, () => {
    noted.add(silence(store.columns.get(id)));
    sessionStorage.setItem(NOTED, JSON.stringify([...noted].slice(-200)));
    renderSilences();
  });
  return el("article", { class: "silence", role: "status", testid: `silent-${id}` },
    el("div", { class: "strip-text" }, show, el("div", { class: "strip-facts" })),
    el("span", { class: "strip-age", "aria-hidden": "true" }), note);
}

function updateSilence(node, column) {
  setText(node.querySelector(".strip-place"), t("silence.title", { place: placeText(column) }));
  const facts = [plain(column.device_id, 40), ...silenceTexts(column)];
  keyed(node.querySelector(".strip-facts"), facts.map((text, index) => ({ text, index })), (fact) => String(fact.index),
    () => el("span", { class: "fact" }), (span, fact) => setText(span, fact.text));
  setText(node.querySelector(".silence-note"), t("silence.noted"));
  setText(node.querySelector(".strip-age"), silentAge(column));
}

function renderSilences() {
  const silent = [...store.columns.values()].filter((one) => isSilent(one) && !isMuted(one) && !noted.has(silence(one)))
    .sort((a, b) => (a.device_id < b.device_id ? -1 : 1));
  keyed(document.getElementById("silences"), silent, (one) => one.device_id, createSilence, updateSilence);
  const fresh = silent.filter((one) => !chimed.has(silence(one)));
  for (const one of fresh) chimed.add(silence(one));
  if (fresh.length) chime();
}

/** Draws everything anew, in the present language. */
export function render() {
  renderStrips();
  renderSilences();
}

/** What changes with every second. */
export function tick() {
  const known = openCalls().filter(isRevealed).length;
  if (known !== revealed) {
    revealed = known;
    tell("incidents", null); // what looked like a call is an exercise
    tell("columns", null);
  }
  for (const node of document.querySelectorAll("#strips > .strip")) {
    const incident = store.incidents.get(node.dataset.id);
    if (incident) setAge(node, incident);
  }
  for (const node of document.querySelectorAll("#silences > .silence")) {
    const column = store.columns.get(node.dataset.key);
    if (column) setText(node.querySelector(".strip-age"), silentAge(column));
  }
}

on("incidents", renderStrips);
on("selected", renderStrips);
on("columns", renderSilences);
