// What happened to one column of late, and what became of the last command to it.

import { get } from "./api.js";
import { el, keyed, plain, setAttribute, setText } from "./dom.js";
import { current, has, t } from "./i18n.js";
import { isDisguised, store } from "./store.js";
import { momentText, nowMs } from "./time.js";
import { faultText, ownWords, term } from "./words.js";

const SHOWN_MAX = 10;
const ANSWER_LIMIT_MS = 30000; // after that long the desk's commands expire

const commandText = (cmd) => term("command", cmd);

/** The newest command and what became of it by `readMs`: { sent, state, why }; null if there is none. */
function lastCommand(events, readMs) {
  const at = events.findIndex((one) => one.event === "command");
  if (at < 0) return null;
  const sent = events[at];
  // The first answer counts: the broker may deliver a command twice, and the column refuses to repeat it.
  const answer = events.slice(0, at).findLast((one) => one.event === "result" && one.detail?.id === sent.detail?.id)?.detail;
  const state = answer ? (answer.ok === true ? "ok" : "refused") : readMs - sent.at_ms < ANSWER_LIMIT_MS ? "waiting" : "silent";
  return { sent, state, why: plain(answer?.error) };
}

/** What may be told just now: somebody else's order for a test call and its answer would tell that what looks like a call
 * is an exercise, or that one comes; a plain one is told as late. */
function tellable(events, id) {
  const isSecret = ({ at_ms: at }) => isDisguised(id) || nowMs() - at < (store.config.disguise_s ?? 0) * 1000;
  const orders = events.filter((one) => one.event === "command" && one.detail?.cmd === "drill" && one.detail.by !== store.me?.name && isSecret(one));
  const hidden = new Set(orders.map((one) => one.detail.id));
  return events.filter((one) => !(["command", "result"].includes(one.event) && hidden.has(one.detail?.id)));
}

/** A text as it is, an object as "key: value". */
function detailText(detail) {
  if (detail === null || typeof detail !== "object") return plain(detail);
  return plain(Object.entries(detail).slice(0, SHOWN_MAX).map(([key, value]) => `${key}: ${plain(value, 100)}`).join(" · "));
}

const list = (values, textOf) => (Array.isArray(values) ? values : []).slice(0, SHOWN_MAX).map(textOf).join(" ") || t("answer.none");
const kilobytes = (bytes) => t("unit.kb", { n: Math.round(Number(bytes) / 1024) || 0 });
const inOrder = (said) => (said === "ok" ? t("answer.ok") : plain(said, 100));
// What columns answer to a command, by its name there (firmware/selftest.py, firmware/orders.py).
const ANSWERS = { flash: inOrder, flash_free: kilobytes, heap_free: kilobytes, faults: (ids) => list(ids, faultText), open: (ids) => list(ids, (id) => plain(id, 60)),
  button: (said) => (said === "stuck" ? faultText("button-stuck") : inOrder(said)) };
const OF_PROGRAMS = ["proves"];

/** A column's answer in the reader's words; what a newer firmware says as it is. */
function answerText(detail) {
  if (detail === null || typeof detail !== "object") return plain(detail);
  const said = Object.entries(detail).filter(([key]) => !OF_PROGRAMS.includes(key)).slice(0, SHOWN_MAX);
  return plain(said.map(([key, value]) => (Object.hasOwn(ANSWERS, key) ? t(`answer.${key}`, { value: ANSWERS[key](value) }) : `${key}: ${plain(value, 100)}`)).join(" · "));
}

/** [what happened, what the column said of it]. `events`: to find the command that is answered. */
function eventTexts({ event, detail }, events) {
  if (event === "command") return [t("events.command", { command: commandText(detail?.cmd), by: plain(detail?.by, 64) || t("unknown") }), ""];
  if (event === "result") {
    const sent = events.find((one) => one.event === "command" && one.detail?.id === detail?.id);
    const command = sent ? commandText(sent.detail.cmd) : t("events.some-command");
    return detail?.ok === true ? [t("events.result-ok", { command }), answerText(detail.detail)] : [t("events.result-refused", { command }), plain(detail?.error)];
  }
  return [term("event", event), ownWords(has(`event.${event}`), detailText(detail))];
}

/** The part of the panel of column `id`: `result` and `list` to be shown, `read()` after a change, `update()` each second. */
export function columnEvents(id) {
  const result = el("p", { class: "said", role: "status", testid: "command-result" });
  const rows = el("ol", { class: "timeline", testid: "events" });
  const none = el("p", { class: "none" });
  let [heard, readMs, failed] = [null, 0, false];
  let [reading, again, language] = [false, false, ""];

  function draw() {
    const events = heard && tellable(heard, id);
    const last = events && lastCommand(events, readMs);
    setAttribute(result, "data-state", last?.state);
    setText(result, last ? t(`command.state-${last.state}`, { command: commandText(last.sent.detail?.cmd), time: momentText(last.sent.at_ms),
      why: last.why || t("unknown"), n: ANSWER_LIMIT_MS / 1000 }) : "");
    keyed(rows, (events ?? []).slice(0, SHOWN_MAX).map((one, index) => ({ one, index })), ({ index }) => String(index),
      () => el("li", {}, el("time"), el("span"), el("q")), (row, { one }) => {
        const [text, said] = eventTexts(one, events);
        setText(row.children[0], momentText(one.at_ms));
        setText(row.children[1], text);
        setText(row.children[2], said);
        row.children[2].hidden = !said;
      });
    setText(none, failed ? t("events.failed") : events?.length === 0 ? t("events.none") : "");
    none.hidden = !none.textContent;
    return last;
  }

  function update() {
    const last = draw();
    // Silence is told only by what was read when the time was over, never because this page could not read.
    if (last?.state === "waiting" && nowMs() - last.sent.at_ms >= ANSWER_LIMIT_MS && store.server) read();
    else if (language && language !== current()) read(); // a column's reasons come in the language that is asked for
  }

  /** A change while it is read makes it be read again. */
  async function read() {
    again = reading;
    if (reading) return;
    reading = true;
    do {
      again = false;
      const atMs = nowMs();
      language = current();
      const found = await get(`/api/columns/${encodeURIComponent(id)}/events?language=${current()}`).catch(() => null);
      failed = !Array.isArray(found);
      if (!failed) [heard, readMs] = [found, atMs];
    } while (again);
    reading = false;
    draw();
  }

  return { result, list: [rows, none], read, update };
}
