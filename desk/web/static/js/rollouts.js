// Releases that are sent out: what there is, how far each rollout is, why it stopped, and what a chief does about it.

import { Refused, asker, get, post } from "./api.js";
import { button, el, fill, keyed, plain, setText, table } from "./dom.js";
import { apply, current, t } from "./i18n.js";
import { gate, may } from "./rights.js";
import { columnSeen, on, store } from "./store.js";
import { stampText } from "./time.js";
import { refusalText } from "./words.js";

const READ = "GET /api/rollouts";
const REFRESH_MS = 3000;
const MINUTES = [0, 15, 60, 240, 1440];
const MINUTE_S = 60;
const DEFAULT_MINUTES = 60;
const FAILED = ["returned", "refused", "lost"];
const OVER = ["done", "aborted"];
const HELD_BY_CALLS = ["told", "fetching", "trial"];
const WISHES = { pause: (one) => one.state === "running", resume: (one) => ["paused", "stopped"].includes(one.state), abort: (one) => !OVER.includes(one.state) };

let parts = null;
let found = null;
let sure = ""; // what was pressed once and asks whether it is meant

const field = (name, node) => el("label", {}, el("span", { "data-t": `rollout.${name}` }), node);

export const mayRead = () => may(READ);

export function mount(host) {
  parts = {
    wrong: el("p", { class: "wrong", role: "alert", testid: "rollout-wrong" }), lost: el("p", { class: "wrong", role: "alert" }), unable: el("p", { class: "none", testid: "rollout-unable" }),
    release: el("select", { testid: "rollout-release" }), first: el("select", { testid: "rollout-first" }), watch: el("select", { testid: "rollout-watch" }),
    start: button({ class: "primary", testid: "rollout-start" }, () => twice("start", start)), offered: el("ul", { class: "none", testid: "rollout-offered" }),
    none: el("p", { class: "none" }), list: el("div", { class: "cards", testid: "rollouts" }),
  };
  fill(parts.watch, MINUTES.map((n) => [n, String(n)]));
  parts.watch.value = String(DEFAULT_MINUTES);
  parts.form = el("form", { class: "filters", on: { submit: (event) => event.preventDefault() } }, field("release", parts.release), field("first", parts.first),
    field("watch", parts.watch), parts.start);
  host.append(el("h2", { "data-t": "rollout.title" }), el("p", { class: "none", "data-t": "rollout.note" }), parts.wrong, parts.lost, parts.unable, parts.form, parts.offered,
    parts.none, parts.list);
  on("view", (view) => { if (view === "rollouts") read(); });
  setInterval(() => { if (store.view === "rollouts" && store.server && mayRead()) read(); }, REFRESH_MS);
}

/** What cannot be taken back asks once more. */
function twice(what, act) {
  const meant = sure === what;
  sure = meant ? "" : what;
  render();
  if (meant) act();
}

async function send(path, body = {}) {
  setText(parts.wrong, "");
  try {
    await post(path, body);
    await read();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    setText(parts.wrong, refusalText(error));
  }
}

const start = () => send("/api/rollouts/start", { release: parts.release.value, first: parts.first.value, watch_s: Number(parts.watch.value) * MINUTE_S });

const path = (one, what) => `/api/rollouts/${encodeURIComponent(one.name)}/${what}`;

function createCard(one) {
  const acts = Object.fromEntries(Object.keys(WISHES).map((what) => [what, button({ testid: `rollout-${what}` },
    () => (what === "abort" ? twice(`abort ${one.name}`, () => send(path(one, what))) : send(path(one, what))))]));
  const card = el("section", { class: "card wide", testid: "rollout", "data-name": one.name }, el("h3"), el("p", { class: "state", role: "status", testid: "rollout-state" }),
    el("p", { testid: "rollout-stage" }), el("p", { class: "none", testid: "rollout-process" }), el("p", { class: "files" }, ...Object.values(acts)),
    table({}, ["column", "state", "why"].map((name) => ({ "data-t": `rollout.${name}` })), el("tbody")),
    el("details", {}, el("summary", { "data-t": "rollout.log" }), el("ol", { class: "timeline" })));
  card.acts = acts;
  apply(card);
  return card;
}

function processText(one) {
  const said = [t(one.runs ? "rollout.runs" : "rollout.runs-not")];
  if (!one.able && !OVER.includes(one.state)) said.push(t("rollout.by-hand"));
  if (one.wish) said.push(t(`rollout.wish-${one.wish}`));
  return [...said, plain(one.trouble)].filter(Boolean).join(" ");
}

/** What the column says, or that its call goes first: this desk knows of it, the rollout does not. */
function whyText({ device_id: id, state, why }) {
  const isHeld = HELD_BY_CALLS.includes(state) && columnSeen(id)?.open?.length;
  return isHeld ? t("rollout.held") : plain(why);
}

function updateCard(card, one) {
  const [head, state, stage, process] = card.children;
  card.dataset.state = one.state;
  setText(head, t("rollout.of", { version: plain(one.version || one.name, 60) }));
  setText(state, [t(`rollout.state-${one.state}`), plain(one.why)].filter(Boolean).join(": "));
  setText(stage, one.stage ? t("rollout.stage", { n: one.stage, of: one.stages.length, target: one.stages[one.stage - 1], total: one.columns.length }) : "");
  setText(process, processText(one));
  for (const [what, fits] of Object.entries(WISHES)) {
    gate(card.acts[what], `POST /api/rollouts/{rollout}/${what}`, !fits(one));
    setText(card.acts[what], t(sure === `${what} ${one.name}` ? "rollout.abort-sure" : `rollout.${what}`));
  }
  keyed(card.querySelector("tbody"), one.columns, (column) => column.device_id, () => el("tr", {}, el("th", { scope: "row" }), el("td"), el("td")), (row, column) => {
    row.dataset.state = column.state;
    [plain(column.device_id, 40), t(`rollout.column-${column.state}`), whyText(column)].forEach((text, index) => setText(row.children[index], text));
    row.children[1].className = FAILED.includes(column.state) ? "wrong" : "";
  });
  keyed(card.querySelector("ol"), one.log.map((line, index) => ({ ...line, index })).reverse(), (line) => `${line.at_ms} ${line.index}`, () => el("li", {}, el("time"), el("span")),
    (row, line) => {
      setText(row.firstChild, stampText(line.at_ms));
      setText(row.lastChild, plain(line.text));
    });
}

on("columns", () => { if (store.view === "rollouts") render(); });

/** Draws everything anew, in the present language. */
export function render() {
  if (!parts || !found) return;
  const good = found.releases.filter((one) => !one.trouble);
  fill(parts.release, good.map((one) => [one.name, `${one.version} (${plain(one.name, 60)})`]));
  fill(parts.first, [["", t("rollout.any")], ...[...store.columns.keys()].sort().map((id) => [id, id])]);
  parts.form.hidden = !found.able;
  setText(parts.unable, found.able ? (good.length ? "" : t("rollout.none-offered")) : t("rollout.unable"));
  parts.offered.replaceChildren(...[found.trouble, ...found.releases.map((one) => one.trouble)].filter(Boolean).map((text) => el("li", { text: plain(text) })));
  gate(parts.start, "POST /api/rollouts/start", !good.length);
  setText(parts.start, t(sure === "start" ? "rollout.sure" : "rollout.start"));
  keyed(parts.list, found.rollouts, (one) => one.name, createCard, updateCard);
  setText(parts.none, found.rollouts.length ? "" : t("rollout.none"));
}

const ask = asker((answer) => {
  found = answer;
  setText(parts.lost, "");
  render();
}, (error) => setText(parts.lost, refusalText(error)));

const read = () => ask(() => get(`/api/rollouts?language=${current()}`));
