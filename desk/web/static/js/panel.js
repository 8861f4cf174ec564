// The panel of one call: the place first, then who does what, what is uncertain, picture and sound, and how it came here.

import { act, failure, isBusy } from "./actions.js";
import { get, incidentPath } from "./api.js";
import { afterPress, button, el, fill, keyed, plain, setAttribute, setText } from "./dom.js";
import { apply, current, t } from "./i18n.js";
import { media } from "./media.js";
import { nearby } from "./nearby.js";
import { recordings } from "./recordings.js";
import { gate, mayNot } from "./rights.js";
import { isCall, isExercise, isOpen, isRevealed, isUnanswered, on, select, selectedIncident, store } from "./store.js";
import { ageText, clockText, momentText, nowMs } from "./time.js";
import { badges, doubts, entryNote, entryText, legText, legs, misuseText, outcomeText, placeText, pressedAt, pressedText, siteText,
  stateText } from "./words.js";

const NOTE_MAX = 1000;
const STEPS = { accept: "accepted", dispatch: "dispatched", close: "closed" };
const RANK = { new: 0, received: 1, accepted: 2, dispatched: 3, closed: 4 };
const right = (what) => `POST /api/incidents/{incident_id}/${what}`;
const KEY = { accept: "A", dispatch: "D", close: "C" };

let shown = null; // { id, node, parts, player, timeline, reading, again }

function section(title, ...children) {
  return el("section", { class: "part" }, el("h3", { "data-t": title, text: t(title) }), ...children);
}

function actionButton(what) {
  const key = el("kbd", { text: KEY[what], "aria-hidden": "true" });
  return button({ class: `do do-${what}`, testid: what, "aria-keyshortcuts": KEY[what].toLowerCase() }, () => press(what),
    el("span"), key);
}

/** The close form: an outcome must be chosen, nothing is preset. Its keys: a digit chooses, Enter closes. */
function closeForm(parts) {
  parts.outcome = el("fieldset", { class: "outcome", testid: "outcome", on: { change: () => { updateOutcomes(parts); setText(parts.missing, ""); parts.confirm.disabled = !chosen(parts); }, keydown: chooseByKey } },
    el("legend", { "data-t": "close.outcome" }));
  parts.misuse = el("select", { testid: "misuse", on: { keydown: (event) => { if (event.key === "Enter") { event.preventDefault(); confirmClose(); } } } });
  parts.misuseRow = el("label", { class: "misuse", hidden: true }, el("span", { "data-t": "close.misuse" }), parts.misuse);
  parts.confirm = button({ class: "do primary", testid: "close-confirm" }, () => confirmClose());
  parts.confirm.disabled = true;
  parts.cancel = button({ class: "quiet", testid: "close-cancel" }, () => closing(false));
  parts.missing = el("p", { class: "wrong", role: "alert", testid: "close-missing" });
  return el("div", { class: "close-form", hidden: true }, parts.outcome, parts.misuseRow, parts.missing, parts.confirm, parts.cancel);
}

const radios = (parts) => [...parts.outcome.querySelectorAll("input")];
const chosen = (parts) => radios(parts).find((one) => one.checked)?.value ?? "";

function chooseByKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const radio = /^Digit[1-9]$/.test(event.code) ? radios(shown.parts)[Number(event.code.slice(5)) - 1] : null;
  if (!radio && event.key !== "Enter") return;
  event.preventDefault();
  event.stopPropagation(); // the digits are the views' keys elsewhere
  if (event.key === "Enter") return confirmClose();
  radio.click();
  radio.focus();
}

function updateOutcomes(parts) {
  const outcomes = (store.config.outcomes ?? []).map((outcome, index) => ({ outcome, number: index + 1 }));
  const host = parts.outcome;
  host.list ??= host.appendChild(el("div", { class: "outcomes" }));
  keyed(host.list, outcomes, (one) => one.outcome, ({ outcome, number }) => el("label", { class: "check" },
    el("input", { type: "radio", name: "outcome", value: outcome, testid: `outcome-${outcome}` }), el("kbd", { text: String(number), "aria-hidden": "true" }), el("span")),
  (label, { outcome }) => setText(label.lastChild, outcomeText(outcome)));
  fill(parts.misuse, ["", ...(store.config.misuses ?? [])].map((value) => [value, misuseText(value || "unsaid")]));
  parts.misuseRow.hidden = chosen(parts) !== "false";
}

function build(id) {
  const parts = { facts: el("p", { class: "facts" }), place: el("h2", { class: "place" }), state: el("p", { class: "state", role: "status" }),
    pressed: el("p", { class: "pressed" }), doubts: el("ul", { class: "doubts", testid: "doubts" }), legs: el("dl", { class: "legs", testid: "legs" }),
    timeline: el("ol", { class: "timeline", testid: "timeline" }), streams: el("ul", { class: "addresses" }),
    failure: el("p", { class: "wrong", role: "alert", testid: "failure" }), mayNot: el("p", { class: "none", testid: "may-not" }) };
  parts.form = closeForm(parts);
  parts.note = el("textarea", { testid: "note", rows: "1", maxlength: String(NOTE_MAX), "data-t-placeholder": "note.placeholder", "data-t-label": "note.placeholder" });
  parts.readback = el("input", { testid: "readback", maxlength: String(NOTE_MAX), "data-t-placeholder": "readback.placeholder", "data-t-label": "readback.placeholder" });
  parts.readbackSave = button({ class: "quiet", testid: "readback-save", "data-t": "readback.save" }, () => save("readback"));
  parts.readback.addEventListener("keydown", (event) => { if (event.key === "Enter" && !event.isComposing) save("readback"); });
  parts.readback.addEventListener("blur", () => afterPress(update));
  parts.readbackRow = el("div", { class: "note-row", hidden: true }, parts.readback, parts.readbackSave);
  parts.noteSave = button({ class: "quiet", testid: "note-save", "data-t": "note.save" }, () => save("note"));
  for (const what of Object.keys(STEPS)) parts[what] = actionButton(what);
  const player = media(id, parts);
  const cameras = nearby(id, parts);
  const kept = recordings(id, parts);
  parts.leave = button({ class: "leave", testid: "panel-close", "data-t-label": "panel.close" }, () => select("incident", null), "×");
  parts.doubtful = section("doubt.title", parts.doubts);
  const scroll = el("div", { class: "panel-scroll" },
    el("div", { class: "panel-two" }, parts.media, el("div", { class: "panel-right" }, parts.nearby, parts.doubtful, section("leg.title", parts.legs))),
    parts.recordings, section("entry.title", parts.timeline),
    el("details", { class: "part" }, el("summary", { "data-t": "stream.addresses" }), parts.streams));
  const node = el("article", { class: "panel", testid: "incident", "data-id": id },
    el("header", { class: "panel-head" }, parts.leave, parts.place, parts.facts, el("div", { class: "panel-now" }, parts.pressed, parts.state)), scroll,
    el("footer", { class: "panel-foot" }, parts.failure, parts.mayNot, parts.readbackRow, el("div", { class: "note-row" }, parts.note, parts.noteSave), parts.form,
      el("div", { class: "do-row" }, parts.accept, parts.dispatch, parts.close)));
  return { id, node, parts, player, cameras, kept, timeline: [], reading: false, again: false };
}

function updateSteps(incident, parts) {
  const rank = RANK[incident.state] ?? 0;
  const next = rank < 2 ? "accept" : rank < 3 && !isRevealed(incident) ? "dispatch" : "close"; // nobody is sent to an exercise
  for (const [what, state] of Object.entries(STEPS)) {
    const past = rank >= RANK[state];
    const at = incident[`${state}_ms`];
    const done = past && (Boolean(at) || rank === RANK[state]); // a later step does not mean that this one was taken
    const text = done ? `✓ ${t(`done.${what}`)}${at ? " " + clockText(at) : ""}` : past ? t(`skipped.${what}`) : t(`do.${what}`);
    setText(parts[what].querySelector("span"), text);
    const loses = past && document.activeElement === parts[what];
    gate(parts[what], right(what), past);
    if (loses) parts[next].focus();
    parts[what].hidden = !isCall(incident) || (what === "dispatch" && isRevealed(incident));
    parts[what].classList.toggle("primary", what === next && !past);
    parts[what].classList.toggle("done", done);
  }
  const asks = isExercise(incident) && isOpen(incident) && !isUnanswered(incident);
  parts.readbackRow.hidden = !asks && document.activeElement !== parts.readback; // else what is being typed would turn into keys
  if (!isOpen(incident) && !parts.form.hidden) {
    if (parts.form.contains(document.activeElement)) parts.leave.focus();
    parts.form.hidden = true;
  }
  for (const what of ["note", "readback"]) {
    gate(parts[what], right(what));
    gate(parts[`${what}Save`], right(what));
  }
  setText(parts.mayNot, mayNot(right("accept")));
  updateOutcomes(parts);
  parts.confirm.disabled = !chosen(parts);
  parts.close.hidden ||= !parts.form.hidden; // one button that closes at a time
  setAttribute(parts.confirm, "aria-busy", isBusy(incident.id));
  setText(parts.confirm, t("close.confirm"));
  setText(parts.cancel, t("close.cancel"));
}

function updateHead(incident, node, parts) {
  setAttribute(node, "data-state", incident.state);
  setAttribute(node, "aria-busy", isBusy(incident.id) ? "true" : null);
  setAttribute(node, "data-waits", isCall(incident) && isUnanswered(incident));
  setText(parts.place, placeText(incident));
  const { site, geo, height_m: height } = incident.location ?? {};
  const facts = [plain(incident.device_id, 40), siteText(site), Number.isFinite(height) ? t("fact.height", { n: height }) : "",
    plain(geo, 60).replace(/^geo:/, "").replace(/;.*$/, "")];
  if (isRevealed(incident) || !isCall(incident)) facts.unshift(t(`kind.${incident.status === "exercise" ? "exercise" : "test"}`));
  const warned = incident.expected ? [{ kind: "expected", badge: true, text: t("expected.address", { address: plain(incident.expected.address) }) }] : [];
  const items = [...warned, ...badges(incident).map((badge) => ({ ...badge, badge: true })),
    ...facts.filter(Boolean).map((text, index) => ({ kind: `fact-${index}`, text }))];
  keyed(parts.facts, items, (item) => item.kind, () => el("span"), (span, item) => {
    setAttribute(span, "class", item.badge ? "badge" : "fact");
    setText(span, item.text);
  });
  const note = incident.state === "closed" && incident.note ? ` ${plain(incident.note, NOTE_MAX)}` : "";
  setText(parts.state, stateText(incident) + note);
}

function updateLegs(incident, parts) {
  const known = legs(incident);
  const total = known.some((leg) => leg.ms === null) ? null : known.reduce((sum, leg) => sum + leg.ms, 0);
  const rows = [...known, { key: "total", ms: total }];
  keyed(parts.legs, rows, (leg) => leg.key, () => el("div", {}, el("dt"), el("dd")), (row, leg) => {
    setAttribute(row, "data-leg", leg.key);
    setText(row.firstChild, t(`leg.${leg.key}`));
    setText(row.lastChild, legText(leg.ms));
  });
}

function updateTimeline(entries, parts) {
  keyed(parts.timeline, entries.map((entry, index) => ({ ...entry, index })), (entry) => `${entry.index}-${entry.kind}`,
    () => el("li", {}, el("time"), el("span"), el("q")), (row, entry) => {
      setAttribute(row, "data-kind", entry.kind);
      setText(row.children[0], momentText(entry.at_ms));
      setText(row.children[1], entryText(entry));
      setText(row.children[2], entryNote(entry));
      row.children[2].hidden = !row.children[2].textContent;
    });
}

function update() {
  const incident = selectedIncident();
  if (!shown || !incident) return;
  const { node, parts } = shown;
  updateHead(incident, node, parts);
  updateSteps(incident, parts);
  updateLegs(incident, parts);
  updateTimeline(shown.timeline, parts);
  const sentences = doubts(incident, store.columns.get(incident.device_id));
  keyed(parts.doubts, sentences.map((text) => ({ text })), (one) => one.text, () => el("li"), (row, one) => setText(row, one.text));
  parts.doubtful.hidden = !sentences.length;
  const named = ["rtsp", "webrtc", "http", "sip"].filter((form) => incident.stream?.[form]);
  keyed(parts.streams, named, (form) => form, () => el("li"), (row, form) => setText(row, plain(incident.stream[form])));
  setText(parts.failure, failure(incident.id));
  shown.player.update(incident);
  shown.cameras.update(incident);
  shown.kept.update(incident);
  tick();
}

/** The age of the press, every second. */
export function tick() {
  const incident = selectedIncident();
  if (!shown || !incident) return;
  const at = pressedAt(incident);
  const values = { time: pressedText(incident), age: ageText((incident.closed_ms && !isOpen(incident) ? incident.closed_ms : nowMs()) - at.ms) };
  setText(shown.parts.pressed, t(isOpen(incident) ? "panel.pressed" : "panel.lasted", values));
}

/** Reads the timeline; a change while it is read makes it be read again. */
async function readTimeline() {
  const mine = shown;
  if (mine.reading) {
    mine.again = true;
    return;
  }
  mine.reading = true;
  do {
    mine.again = false;
    const whole = await get(incidentPath(mine.id, `?language=${current()}`)).catch(() => null);
    if (Array.isArray(whole?.timeline)) mine.timeline = whole.timeline;
  } while (mine.again);
  mine.reading = false;
  if (shown === mine) update();
}

function show() {
  const incident = selectedIncident();
  if (shown && shown.id !== incident?.id) {
    stopMedia();
    shown.node.remove();
    shown = null;
  }
  if (!incident) return;
  if (!shown) {
    shown = build(incident.id);
    document.getElementById("side").append(shown.node);
    apply(shown.node);
    readTimeline();
  }
  update();
}

/** Draws everything anew, in the present language. */
export function render() {
  if (shown) readTimeline(); // why a step failed is the server's, in the language that is asked for
  update();
}

// -- what the officer does

function closing(open) {
  const { form, close } = shown.parts;
  form.hidden = !open;
  setText(shown.parts.missing, "");
  update();
  if (open) radios(shown.parts)[0]?.focus();
  else close.focus();
}

async function confirmClose() {
  const { parts, id } = shown;
  const outcome = chosen(parts);
  setText(parts.missing, outcome ? "" : t("close.missing", { n: radios(parts).length }));
  if (!outcome) return;
  const misuse = outcome === "false" && parts.misuse.value ? { misuse: parts.misuse.value } : {};
  if (await act(id, "close", { outcome, note: parts.note.value.trim(), ...misuse })) {
    parts.note.value = "";
  }
}

/** `what`: note, readback. */
async function save(what) {
  const { id, parts: { [what]: field } } = shown;
  const text = field.value.trim();
  setText(shown.parts.failure, text ? "" : t("refusal.text-empty"));
  if (!text) return field.focus();
  if (await act(id, what, { text })) {
    field.value = "";
    readTimeline();
  }
}

/** Why that step cannot be taken; "": it can. */
function refused(what, incident) {
  if (!isCall(incident)) return t("key.test");
  if (!isOpen(incident)) return t("key.closed");
  if (mayNot(right(what))) return mayNot(right(what));
  if (what === "dispatch" && isRevealed(incident)) return t("key.exercise");
  return (RANK[incident.state] ?? 0) >= RANK[STEPS[what]] ? t(`done.${what}`) : "";
}

/** A step for the call that is shown: accept, dispatch, close (which asks for the outcome first). Gives why it is not
 * taken, else "". */
export function press(what) {
  const incident = selectedIncident();
  const why = shown && incident ? refused(what, incident) : t("key.no-call");
  if (why) return why;
  if (what === "close") closing(shown.parts.form.hidden);
  else act(incident.id, what);
  return "";
}

const ofCall = (does) => (shown ? does(shown) : t("key.no-call"));

/** Picture (p) and microphone (m) of the call that is shown; each gives why it does nothing, else "". */
export const play = () => ofCall(({ player }) => player.toggle());
export const talk = () => ofCall(({ player }) => player.toggleTalk());
export const hold = (on) => (on || shown ? ofCall(({ player }) => player.hold(on)) : "");
export const amplify = (steps) => ofCall(({ player }) => player.amplify(steps));
export function stopMedia() {
  shown?.player.stop();
  shown?.cameras.stop();
  shown?.kept.stop();
}
/** The nearest of the city's cameras, the next, the one after it. */
export const camera = (index) => ofCall(({ cameras }) => cameras.toggle(index));

on("selected", show);
on("incidents", (id) => {
  if (!shown || (id !== null && id !== shown.id)) return;
  update();
  readTimeline();
});
on("busy", (id) => { if (shown?.id === id) update(); });
on("columns", update);
