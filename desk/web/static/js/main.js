// Puts the page together: language, login, feed, views, sound, keyboard.

import * as accepting from "./accepting.js";
import * as account from "./account.js";
import { Refused, get, post, setUnauthorized } from "./api.js";
import * as audit from "./audit.js";
import * as columns from "./columns.js";
import { plain, setAttribute, setText, unpressed } from "./dom.js";
import * as feed from "./feed.js";
import { chooseLanguage, has, onLanguage, t } from "./i18n.js";
import * as keyLine from "./key-line.js";
import * as keys from "./keys.js";
import * as map from "./map.js";
import * as panel from "./panel.js";
import * as register from "./register.js";
import { isHalfIn } from "./rights.js";
import * as rollouts from "./rollouts.js";
import * as shift from "./shift.js";
import * as sound from "./sound.js";
import * as statistics from "./statistics.js";
import { go, isLouder, isOpen, isUnanswered, on, openCalls, select, selectedIncident, store } from "./store.js";
import * as strips from "./strips.js";
import * as theme from "./theme.js";
import { clockText, momentText, nowMs } from "./time.js";
import * as upkeep from "./upkeep.js";
import { refusalText } from "./words.js";

const VIEWS = ["board", "register", "statistics", "upkeep", "audit", "rollouts"];
const LOST_CHIME_MS = 3000;
const WANT_CODE = ["login-code", "login-code-wrong", "code-wait"];

const id = (name) => document.getElementById(name);

// -- views

function showView(view) {
  document.body.dataset.view = view;
  for (const name of VIEWS) id(name).hidden = name !== view;
  for (const tab of document.querySelectorAll("[data-go]")) setAttribute(tab, "aria-current", tab.dataset.go === view ? "page" : null);
}

function showSide() {
  const open = store.selected !== null && id("side").childElementCount > 0;
  id("side").hidden = !open;
  document.body.dataset.side = open ? store.selected.kind : "none";
  const about = selectedIncident()?.device_id ?? store.selected?.id;
  map.reveal(store.columns.get(about));
}

/** A line across the page, there while it says something. */
function showLine(name, text) {
  id(name).hidden = !text;
  setText(id(name), text);
}

// -- who answers, and is there anybody to hear

function showDesk() {
  const state = isHalfIn() ? "half-in" : !store.server ? "no-server" : store.broker ? "connected" : "no-broker";
  const node = id("desk-state");
  setAttribute(node, "data-state", state);
  setText(node, t(`desk.${state}`));
  const name = plain(store.config.name, 40);
  setText(id("desk-name"), name || t("brand"));
  const lost = state !== "connected" && state !== "half-in" && store.lostMs !== null;
  const why = store.server && has(`why.${store.why}`) ? t(`why.${store.why}`) : "";
  showLine("banner", [lost ? t(`banner.${state}`, { time: momentText(store.lostMs) }) : "", why].filter(Boolean).join(" "));
  showLine("nobody", store.server && has(`absent.${store.nobody}`) ? t(`absent.${store.nobody}`) : "");
  showLine("recording", store.server && has(`banner-recording.${store.recording}`) ? t(`banner-recording.${store.recording}`) : "");
  showLine("flood", store.server && store.flooding.length ? t("banner.flood", { columns: store.flooding.map((one) => plain(one, 40)).join(", ") }) : "");
}

let lostTimer = 0;
on("desk", () => {
  showDesk();
  const lost = store.lostMs !== null;
  if (lost && !lostTimer) lostTimer = setTimeout(() => sound.chime(), LOST_CHIME_MS);
  if (!lost) {
    clearTimeout(lostTimer);
    lostTimer = 0;
  }
});

// -- sound

function showSound() {
  const { state, ringing, louder, hushedForMs } = sound.status();
  const node = id("sound");
  setAttribute(node, "data-state", state);
  setAttribute(node, "data-ringing", String(ringing && state === "on"));
  setAttribute(node, "data-louder", String(louder && state === "on"));
  const text = state === "hushed" ? t("sound.hushed", { n: Math.ceil(hushedForMs / 1000) })
    : state === "blocked" ? t("sound.blocked") : ringing ? t("sound.ringing") : t("sound.on");
  setText(node, text);
}

function toggleSound() {
  const { state, ringing } = sound.status();
  if (state === "blocked") sound.wake();
  else if (state === "hushed") sound.unhush();
  else if (ringing) sound.hush();
  else sound.chime(); // nothing rings: let the officer hear that it would
  showSound();
}

// -- calls

on("press", ({ incident, again }) => {
  sound.unhush();
  if (again && !isUnanswered(incident)) sound.chime();
  const shown = selectedIncident();
  if (!shown || !isOpen(shown)) select("incident", incident.id);
});
on("louder", sound.unhush);
on("incidents", () => {
  const waiting = openCalls().filter(isUnanswered);
  sound.setRinging(waiting.some(isLouder) ? "louder" : waiting.length ? "call" : "");
  showSide();
});
on("selected", showSide);
on("view", showView);

/** The oldest call that nobody has accepted, else the next open one. */
function next() {
  const calls = openCalls();
  const waiting = calls.filter(isUnanswered);
  const pool = waiting.length ? waiting : calls;
  const at = pool.findIndex((one) => one.id === store.selected?.id);
  if (pool.length) select("incident", pool[(at + 1) % pool.length].id);
  return pool.length ? "" : t("key.none-open");
}

function walk(step) {
  const order = [...document.querySelectorAll("#strips > .strip")].map((node) => node.dataset.id);
  const at = order.indexOf(store.selected?.id);
  if (order.length) select("incident", order[at < 0 ? 0 : (at + step + order.length) % order.length]);
  return order.length ? "" : t("key.none-open");
}

function leave() {
  const active = document.activeElement;
  if (active instanceof HTMLElement && active.closest("input, select, textarea")) active.blur();
  else if (store.selected) select("incident", null);
}

function openHelp() {
  keys.showKeys(id("help-keys"));
  id("keys-on").checked = keys.enabled();
  id("help").showModal();
}

function focusFilter() {
  if (store.view === "register") return register.focusFilter();
  go("board");
  id("filter").focus();
}

// -- login

/** Who it is, and what that opens; whoever answers no calls should know it before one comes. */
function showRole() {
  showLine("role-line", store.me?.role === "auditor" ? t("role.auditor-line") : "");
  id("rollouts-tab").hidden = !rollouts.mayRead();
  const name = plain(store.me?.name, 40);
  setText(id("account-open"), name || t("account.title"));
  setAttribute(id("account-open"), "aria-label", t("account.of", { name }));
}

async function enter() {
  store.me = await get("/api/me");
  const stranger = store.me.name === null;
  id("login").hidden = !stranger;
  const halfIn = isHalfIn();
  setAttribute(document.body, "data-stranger", stranger || null);
  setAttribute(document.body, "data-half-in", halfIn || null);
  id("logout").hidden = !store.me.accounts || stranger;
  translateAll(); // what the role may do
  if (stranger || halfIn) { // what the page showed to somebody before is not for them
    feed.stop();
    sound.setRinging("");
    panel.stopMedia();
  }
  if (stranger) {
    if (!store.me.accounts) setText(id("login-wrong"), t("login.key"));
    id("login").elements.name.focus();
  } else if (halfIn) {
    account.enrol(enter);
  } else {
    feed.start(enter);
    shift.begin();
  }
}

async function login(event) {
  event.preventDefault();
  const form = id("login");
  const [name, password, code] = ["name", "password", "code"].map((field) => form.elements[field].value);
  setText(id("login-wrong"), "");
  try {
    await post("/api/login", code.trim() ? { name, password, code } : { name, password });
    form.elements.password.value = form.elements.code.value = "";
    id("login-code-row").hidden = true;
    await enter();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    setText(id("login-wrong"), refusalText(error));
    if (!WANT_CODE.includes(error.code)) return;
    id("login-code-row").hidden = false;
    form.elements.code.value = "";
    form.elements.code.focus();
  }
}

// -- the whole

function translateAll() {
  for (const part of [strips, keyLine, columns, map, panel, register, statistics, upkeep, audit, rollouts]) part.render();
  shift.render();
  account.render();
  showDesk();
  showSound();
  theme.show(id("theme"));
  showRole();
  if (id("help").open) keys.showKeys(id("help-keys"));
}

function everySecond() {
  setText(id("clock"), clockText(nowMs()));
  strips.tick();
  panel.tick();
  columns.tick();
  showSound();
}

function wire() {
  for (const tab of document.querySelectorAll("[data-go]")) tab.addEventListener("click", () => go(tab.dataset.go));
  id("filter").addEventListener("input", (event) => columns.setFilter(event.target.value));
  id("sound").addEventListener("click", toggleSound);
  id("theme").addEventListener("click", () => theme.next(id("theme")));
  id("help-open").addEventListener("click", openHelp);
  id("keys-on").addEventListener("change", (event) => keys.enable(event.target.checked));
  id("login").addEventListener("submit", login);
  id("logout").addEventListener("click", () => post("/api/logout").finally(() => location.reload()));
  const touched = (event) => { feed.here(); if (!event.target.closest?.("#sound")) sound.wake(); }; // that button wakes it by itself
  for (const event of ["pointerdown", "keydown"]) document.addEventListener(event, touched, { capture: true });
  window.addEventListener("pagehide", panel.stopMedia);
  sound.onSound(showSound);
  const done = (act) => () => { act(); return ""; };
  keys.listen({
    accept: accepting.accept, dispatch: () => panel.press("dispatch"), close: () => panel.press("close"),
    play: panel.play, mic: panel.talk, quieter: () => panel.amplify(-1), louder: () => panel.amplify(1),
    next, down: () => walk(1), up: () => walk(-1), filter: done(focusFilter), help: done(openHelp),
    camera0: () => panel.camera(0), camera1: () => panel.camera(1), camera2: () => panel.camera(2), sound: done(toggleSound), leave: done(leave),
    ...Object.fromEntries(["audit", "board", "register", "statistics", "upkeep"].map((view) => [view, done(() => go(view))])),
    rollouts: () => (rollouts.mayRead() ? done(() => go("rollouts"))() : t("key.no-releases")),
  }, { hold: panel.hold }, keyLine.say);
}

async function begin() {
  theme.start();
  map.mount(id("map-host"));
  register.mount(id("register"));
  statistics.mount(id("statistics"));
  shift.mount(id("shift"), id("shift-open"), id("shift-unread"));
  account.mount(id("account"), id("account-open"));
  upkeep.mount(id("upkeep"));
  audit.mount(id("audit"));
  rollouts.mount(id("rollouts"));
  wire();
  onLanguage(translateAll);
  await chooseLanguage(id("language"));
  showView(store.view);
  setUnauthorized(() => { if (id("login").hidden) enter().catch(() => {}); });
  setInterval(() => unpressed(everySecond), 1000);
  everySecond();
  sound.audio();
  await enter();
}

begin().catch((error) => {
  showLine("banner", `${error.message} / Reload the page. / Обновите страницу. / Бетті жаңартыңыз.`);
});
