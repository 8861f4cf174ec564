// The own access: role, sessions, password; and for those who may see it everybody's sessions.

import { Refused, get, post } from "./api.js";
import { button, el, plain, setText } from "./dom.js";
import { t } from "./i18n.js";
import { gate, may } from "./rights.js";
import { store } from "./store.js";
import { stampText } from "./time.js";
import { refusalText } from "./words.js";

const BROWSERS = [["Edg", "Edge"], ["OPR", "Opera"], ["YaBrowser", "Yandex"], ["Firefox", "Firefox"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = ["Windows", "Android", "iPhone", "iPad", "Mac OS", "Linux"];
const OTHERS = "POST /api/sessions/{session}/end others";

let parts = null;
let sessions = [];

/** "Firefox 128, Linux"; what calls itself otherwise, as it does so. */
function browserText(agent) {
  const name = BROWSERS.find(([token]) => agent.includes(`${token}/`));
  const version = name && agent.split(`${name[0]}/`)[1].match(/^\d+/);
  const system = SYSTEMS.find((one) => agent.includes(one));
  const known = [name && [name[1], version?.[0]].filter(Boolean).join(" "), system].filter(Boolean).join(", ");
  return known || plain(agent, 60) || t("unknown");
}

function sessionRow(one) {
  const mine = one.name === store.me?.name;
  const facts = [stampText(one.since_ms), t("session.from", { address: plain(one.from, 60) || t("unknown") }), browserText(one.browser),
    one.here ? t("session.here") : t("session.seen", { time: stampText(one.seen_ms) })];
  const end = button({ class: "quiet", testid: `session-end-${one.id}` }, () => act(`/api/sessions/${one.id}/end`), t("session.end"));
  return el("li", { testid: one.here ? "session-here" : "session" }, el("b", { text: plain(one.name, 64) }), el("span", { text: facts.join(" · ") }),
    mine ? end : gate(end, OTHERS));
}

const group = (title, rows) => (rows.length ? [el("h3", { text: title }), el("ul", { class: "access-list" }, ...rows)] : []);

function draw() {
  if (!parts) return;
  const mine = sessions.filter((one) => one.name === store.me?.name);
  const others = sessions.filter((one) => one.name !== store.me?.name);
  setText(parts.role, t(`role.${store.me?.role ?? "operator"}`, { name: plain(store.me?.name, 64) }));
  const endAll = button({ class: "quiet", testid: "session-end-all" }, () => act("/api/sessions/end"), t("session.end-all"));
  endAll.disabled = mine.length < 2;
  parts.sessions.replaceChildren(...group(t("session.mine"), mine.map(sessionRow)), endAll, ...group(t("session.others"), others.map(sessionRow)));
  if (others.length && !may(OTHERS)) parts.sessions.append(el("p", { class: "none", text: t("refusal.role-auditor") }));
  parts.password.hidden = !store.me?.accounts;
  for (const node of parts.host.querySelectorAll("[data-t]")) setText(node, t(node.dataset.t));
}

async function read() {
  sessions = await get("/api/sessions");
  draw();
}

/** Does it, says what came of it, and reads everything anew. Gives the answer; null when it was refused. */
async function act(path, body = {}, done = "") {
  setText(parts.wrong, "");
  setText(parts.done, "");
  try {
    const answer = (await post(path, body)) ?? {};
    setText(parts.done, done);
    await read();
    return answer;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    setText(parts.wrong, refusalText(error));
    return null;
  }
}

function secretField(name, testid, complete) {
  return el("label", {}, el("span", { "data-t": name }), el("input", { type: "password", testid, autocomplete: complete, maxlength: "128", required: true }));
}

function passwordForm() {
  const [old, fresh, again] = [secretField("password.old", "password-old", "current-password"),
    secretField("password.new", "password-new", "new-password"), secretField("password.again", "password-again", "new-password")];
  const value = (label) => label.lastChild.value;
  const submit = async (event) => {
    event.preventDefault();
    if (value(fresh) !== value(again)) return setText(parts.wrong, t("password.differ"));
    if (await act("/api/password", { old: value(old), new: value(fresh) }, t("password.changed"))) form.reset();
  };
  const form = el("form", { class: "ask", on: { submit } }, el("h3", { "data-t": "password.title" }), el("p", { class: "none", "data-t": "password.note" }), old, fresh, again,
    el("button", { type: "submit", testid: "password-save", "data-t": "password.save" }));
  return form;
}

/** Draws everything anew, in the present language. */
export const render = () => draw();

/** `dialog` with an element of the class `account-host`. */
export function mount(dialog, opener) {
  const host = dialog.querySelector(".account-host");
  parts = { host, role: el("p", { testid: "account-role" }), wrong: el("p", { class: "wrong", role: "alert", testid: "account-wrong" }),
    done: el("p", { role: "status", testid: "account-done" }), sessions: el("div", { class: "access", testid: "sessions" }), password: passwordForm() };
  host.append(parts.role, parts.wrong, parts.done, parts.sessions, parts.password);
  opener.addEventListener("click", () => {
    setText(parts.wrong, "");
    setText(parts.done, "");
    dialog.showModal();
    read().catch((error) => setText(parts.wrong, refusalText(error)));
  });
}
