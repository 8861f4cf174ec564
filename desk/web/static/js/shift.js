// Shift work: who is on duty, the note of the last shift, and what it leaves open. Nothing here keeps a call waiting.

import { Refused, asker, get, post } from "./api.js";
import { button, el, plain, setText } from "./dom.js";
import { t } from "./i18n.js";
import { gate, mayNot } from "./rights.js";
import { store } from "./store.js";
import { momentText } from "./time.js";
import { placeOf, refusalText } from "./words.js";

const EVERY_MS = 60000;
const NOTE_MAX = 2000;
const RECENT = 10;

let host = null;
let banner = null;
let found = null;
let wrong = "";

const me = () => store.me?.name ?? "";
const mine = () => found?.on_duty.some((one) => one.name === me());
const toRead = () => (found?.unread ?? []).filter((one) => one.name !== me());

function refuse(error) {
  wrong = refusalText(error);
  render();
}

const ask = asker((answer) => {
  [found, wrong] = [answer, ""];
  render();
}, refuse);

const read = () => ask(() => get("/api/shifts"));

async function send(path, body) {
  try {
    await post(`/api/shifts/${path}`, body);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return refuse(error);
  }
  await read();
}

function note(one) {
  return el("article", { class: "shift-note", testid: `shift-note-${one.n}` },
    el("p", { text: t("shift.note-of", { by: plain(one.name, 64), time: momentText(one.to_ms) }) }),
    el("p", { class: "shift-text", text: plain(one.note, NOTE_MAX) }),
    gate(button({ class: "primary", testid: `shift-read-${one.n}` }, () => send(`${one.n}/read`), t("shift.read")), "POST /api/shifts/{n}/read"));
}

function left() {
  const { calls = [], columns = [] } = found?.left ?? {};
  const items = [...calls.map((one) => t("shift.left-call", { place: placeOf(one.device_id), state: t(`state-short.${one.state}`) })),
    ...columns.filter((one) => one.status !== "alarm").map((one) => t("shift.left-column", { place: placeOf(one.device_id), status: t(`status.${one.status}`) }))];
  return el("ul", { testid: "shift-left" }, ...(items.length ? items : [t("shift.left-nothing")]).map((text) => el("li", { text })));
}

function recent() {
  const rows = (found?.recent ?? []).slice(0, RECENT).map((one) => el("li", {
    text: t(one.to_ms === null ? "shift.since" : "shift.from-to", { by: plain(one.name, 64), from: momentText(one.from_ms), to: momentText(one.to_ms) }),
  }));
  return el("ul", { testid: "shift-recent" }, ...rows);
}

function act() {
  if (!mine()) {
    const begin = button({ class: "primary", testid: "shift-begin" }, () => send("begin"), t("shift.begin"));
    gate(begin, "POST /api/shifts/begin", toRead().length > 0);
    return el("div", {}, begin, el("p", { class: "none", text: mayNot("POST /api/shifts/begin") }));
  }
  const text = el("textarea", { testid: "shift-write", rows: "3", maxlength: String(NOTE_MAX), "aria-label": t("shift.write"), placeholder: t("shift.write") });
  return el("div", {}, text, button({ class: "primary", testid: "shift-end" },
    () => send("hand-over", { note: text.value.trim() }), t("shift.end")));
}

/** The focus goes where it was, or, if that is gone, to what is to be done next. `selection`: within what is written. */
function refocus(name, selection) {
  const node = (name && host.querySelector(`[data-testid="${CSS.escape(name)}"]`)) || host.querySelector("button:enabled, textarea");
  node?.focus();
  if (node?.localName === "textarea") node.setSelectionRange(...selection);
}

/** Draws everything anew, in the present language; what is being written stays, and so does whoever writes. */
export function render() {
  if (!host) return;
  const waits = toRead().length;
  banner.hidden = !waits;
  setText(banner, waits ? t("shift.unread") : "");
  const written = host.querySelector("textarea")?.value ?? "";
  const focused = host.contains(document.activeElement) ? document.activeElement : null;
  const selection = [focused?.selectionStart ?? 0, focused?.selectionEnd ?? 0];
  host.replaceChildren(...toRead().map(note), el("h3", { text: t("shift.left") }), left(), act(),
    el("p", { class: "wrong", role: "alert", testid: "shift-wrong", text: wrong }), el("h3", { text: t("shift.recent") }), recent());
  const text = host.querySelector("textarea");
  if (text) text.value = written;
  if (focused) refocus(focused.dataset.testid, selection);
}

/** `dialog` with an element of the class `shift-host`; `line`: where an unread note is told. */
export function mount(dialog, opener, line) {
  [host, banner] = [dialog.querySelector(".shift-host"), line];
  opener.addEventListener("click", () => { dialog.showModal(); read(); });
  setInterval(() => { if (store.server && me()) read(); }, EVERY_MS);
}

/** Somebody is known: is there a note? */
export const begin = () => { if (me()) read(); };
