// The own access: role, sessions, password; and for those who may see it everybody's sessions.

import { Refused, asker, get, post } from "./api.js";
import { button, el, plain, setText } from "./dom.js";
import { apply, t } from "./i18n.js";
import { gate, isHalfIn, may } from "./rights.js";
import { store } from "./store.js";
import { stampText } from "./time.js";
import { refusalText } from "./words.js";

const BROWSERS = [["Edg", "Edge"], ["OPR", "Opera"], ["YaBrowser", "Yandex"], ["Firefox", "Firefox"], ["Chrome", "Chrome"], ["Safari", "Safari"]];
const SYSTEMS = ["Windows", "Android", "iPhone", "iPad", "Mac OS", "Linux"];
const CODE_MAX = "40";
const SECRET_MAX = "128";
const [SESSIONS, PEOPLE] = ["GET /api/sessions", "GET /api/accounts"];
const RESET = "POST /api/second-factor/reset";
const OTHERS = "POST /api/sessions/{session}/end others";

let parts = null;
let sessions = [];
let people = [];
let enrolled = null; // called when somebody who has to has set up a second factor
let begun = null; // { secret, qr } of a second factor that is being set up
let recovery = null; // codes that are shown once

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
  parts.password.hidden = parts.factor.hidden = !store.me?.accounts;
  parts.required.hidden = !enrolled || !isHalfIn();
  if (enrolled) parts.password.hidden = parts.sessions.hidden = true;
  drawFactor();
  drawPeople();
}

/** The steps of the second factor; what is being typed stays. */
function drawFactor() {
  const on = store.me?.second_factor ?? null;
  const step = recovery ? "recovery" : on ? "on" : begun ? "begun" : "off";
  if (parts.factor.dataset.step === step && step !== "on") return;
  parts.factor.dataset.step = step;
  parts.factor.replaceChildren(el("h3", { "data-t": "factor.title" }), ...FACTOR[step](on));
  apply(parts.factor);
}

function form(testid, save, fields, submit) {
  return el("form", { class: "ask", testid, on: { submit: (event) => { event.preventDefault(); submit(); } } }, ...fields,
    el("button", { type: "submit", testid: `${testid}-save`, "data-t": save }));
}

const field = (name, properties) => el("label", {}, el("span", { "data-t": name }), el("input", { required: true, ...properties }));
const codeField = (testid) => field("factor.code", { type: "text", testid, autocomplete: "one-time-code", maxlength: CODE_MAX });
const secretField = (name, testid, autocomplete) => field(name, { type: "password", testid, autocomplete, maxlength: SECRET_MAX });

const FACTOR = {
  off() {
    const password = secretField("password.old", "factor-password", "current-password");
    return [el("p", { class: "none", "data-t": "factor.note" }), form("factor-begin", "factor.begin", [password], async () => {
      begun = await act("/api/second-factor/begin", { password: password.lastChild.value });
      draw();
      parts.factor.querySelector("input")?.focus();
    })];
  },
  begun() {
    const code = codeField("factor-code");
    return [el("p", { "data-t": "factor.scan" }), el("img", { class: "qr", src: begun.qr, alt: t("factor.qr") }),
      el("p", { class: "secret", testid: "factor-secret", text: t("factor.secret", { secret: begun.secret }) }),
      form("factor-confirm", "factor.confirm", [code], async () => {
        const answer = await act("/api/second-factor/confirm", { code: code.lastChild.value });
        if (!answer) return;
        [recovery, begun] = [answer.recovery, null];
        draw();
      })];
  },
  recovery() {
    return [el("p", { role: "alert", "data-t": "factor.recovery" }), el("ul", { class: "secret", testid: "factor-recovery" }, ...recovery.map((text) => el("li", { text })))];
  },
  on({ recovery_left: n }) {
    const [password, code] = [secretField("password.old", "factor-password", "current-password"), codeField("factor-code")];
    return [el("p", { testid: "factor-on", text: t("factor.on", { n }) }), form("factor-remove", "factor.remove", [password, code],
      () => act("/api/second-factor/remove", { password: password.lastChild.value, code: code.lastChild.value }, t("factor.off")))];
  },
};

function personRow(one) {
  const facts = [t(`people.${one.role}`), one.second_factor ? t("people.factor") : ""].filter(Boolean).join(", ");
  const name = plain(one.name, 64);
  const end = gate(button({ class: "quiet", testid: `person-end-${name}` }, () => act("/api/sessions/end", { name: one.name }), t("people.end")), OTHERS);
  const reset = gate(button({ class: "quiet", testid: `person-reset-${name}` }, () => act("/api/second-factor/reset", { name: one.name }), t("people.reset")), RESET);
  end.hidden = one.name === store.me?.name;
  reset.hidden = end.hidden || !one.second_factor;
  return el("li", { testid: `person-${name}` }, el("b", { text: name }), el("span", { text: facts }), end, reset);
}

function drawPeople() {
  parts.people.replaceChildren(...group(t("people.title"), people.map(personRow)));
}

const ask = asker((answer) => {
  [store.me, sessions, people] = answer;
  draw();
}, (error) => setText(parts.wrong, refusalText(error)));

const read = () => ask(async () => {
  const me = await get("/api/me");
  const answered = async (request) => (me.may.includes(request) ? get(request.split(" ")[1]) : []);
  return [me, await answered(SESSIONS), await answered(PEOPLE)];
});

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

function passwordForm() {
  const [old, fresh, again] = [secretField("password.old", "password-old", "current-password"),
    secretField("password.new", "password-new", "new-password"), secretField("password.again", "password-again", "new-password")];
  const value = (label) => label.lastChild.value;
  const made = form("password", "password.save", [el("h3", { "data-t": "password.title" }), el("p", { class: "none", "data-t": "password.note" }), old, fresh, again], async () => {
    if (value(fresh) !== value(again)) return setText(parts.wrong, t("password.differ"));
    if (await act("/api/password", { old: value(old), new: value(fresh) }, t("password.changed"))) made.reset();
  });
  return made;
}

/** Draws everything anew, in the present language. */
export const render = draw;

/** For somebody who has to have a second factor and has none: set it up, and nothing else. Then `over`. */
export function enrol(over) {
  enrolled = over;
  draw();
  if (!parts.dialog.open) parts.dialog.showModal();
  parts.factor.querySelector("input")?.focus();
}

function closed() {
  [begun, recovery] = [null, null];
  if (!enrolled) return;
  if (isHalfIn()) return post("/api/logout").finally(() => location.reload());
  const over = enrolled;
  enrolled = null;
  parts.sessions.hidden = false;
  return over();
}

/** `dialog` with an element of the class `account-host`. */
export function mount(dialog, opener) {
  const host = dialog.querySelector(".account-host");
  parts = { dialog, host, required: el("p", { role: "alert", testid: "factor-required", "data-t": "factor.required" }), role: el("p", { testid: "account-role" }), wrong: el("p", { class: "wrong", role: "alert", testid: "account-wrong" }),
    done: el("p", { role: "status", testid: "account-done" }), sessions: el("div", { class: "access", testid: "sessions" }), password: passwordForm(),
    factor: el("section", { class: "access", testid: "factor" }), people: el("div", { class: "access", testid: "people" }) };
  host.append(parts.role, parts.required, parts.wrong, parts.done, parts.sessions, parts.password, parts.factor, parts.people);
  dialog.addEventListener("close", closed);
  opener.addEventListener("click", () => {
    setText(parts.wrong, "");
    setText(parts.done, "");
    dialog.showModal();
    read();
  });
}
