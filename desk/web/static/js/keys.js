// The keyboard: single keys, by their place on the board, so that they work with a Cyrillic layout too.

import { el } from "./dom.js";
import { t } from "./i18n.js";

const KEPT = "sos-keys";
const SHOWN = [["A", "accept"], ["D", "dispatch"], ["C", "close"], ["P", "play"], ["M", "mic"], ["T", "hold"], ["- =", "loudness"], ["7 8 9", "cameras"], ["N", "next"], ["J / K", "walk"],
  ["/", "filter"], ["1 2 3 4 5", "views"], ["6", "rollouts-view"], ["S", "sound"], ["?", "help"], ["Esc", "leave"]];
const PLACES = { KeyA: "accept", KeyD: "dispatch", KeyC: "close", KeyP: "play", KeyM: "mic", KeyN: "next", KeyJ: "down", KeyK: "up",
  KeyS: "sound", Digit1: "board", Digit2: "register", Digit3: "statistics", Digit4: "upkeep", Digit5: "audit", Digit6: "rollouts",
  Digit7: "camera0", Digit8: "camera1", Digit9: "camera2",
  Minus: "quieter", Equal: "louder" };

/** Whether a key is for `target`: a field, or a window over the page. */
export const typing = (target) => target instanceof Element && target.closest("input:not([type=radio]), select, textarea, dialog[open]") !== null;

/** The action that a key event asks for, or null. */
function actionOf(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.isComposing) return null;
  if (event.key === "Escape") return "leave";
  if (typing(event.target)) return null;
  if (event.key === "?" || (event.code === "Slash" && event.shiftKey)) return "help";
  if (event.key === "/" || event.code === "Slash") return "filter";
  return event.shiftKey ? null : PLACES[event.code] ?? null;
}

export const enabled = () => localStorage.getItem(KEPT) !== "off";
export const enable = (on) => localStorage.setItem(KEPT, on ? "on" : "off");

const HELD = { KeyT: "hold" };

/** As it stands on the key. */
const cap = ({ code, key }) => (code === "Minus" ? "-" : code === "Equal" ? "=" : /^(Key|Digit)./.test(code) ? code.at(-1) : key);

/** Calls `actions[name]()` for each key; what it does with the event is then over. `held[name](on)` for keys that are
 * held: when they are pressed and when they are let go of, or the window is left. Each gives why it did nothing, "" if
 * it did something: `said(key, why)` is for every key, so that none is pressed in vain without a word. */
export function listen(actions, held, said) {
  let now = null; // the place of the key that is held
  const letGo = () => {
    if (now) held[HELD[now]](false);
    now = null;
  };
  document.addEventListener("keydown", (event) => {
    const other = event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.repeat || typing(event.target);
    if (now || other || !HELD[event.code] || !enabled()) return;
    event.preventDefault();
    now = event.code;
    said(cap(event), held[HELD[now]](true));
  });
  document.addEventListener("keyup", (event) => { if (event.code === now) letGo(); });
  window.addEventListener("blur", letGo);
  document.addEventListener("keydown", (event) => {
    const name = actionOf(event);
    if (!name || !actions[name] || (!enabled() && name !== "leave")) return;
    if (name === "leave" && document.querySelector("dialog[open]")) return; // the dialog closes itself
    if (name !== "leave") event.preventDefault();
    said(cap(event), actions[name]());
  });
}

export function showKeys(host) {
  host.replaceChildren(...SHOWN.flatMap(([key, name]) => [el("dt", {}, el("kbd", { text: key })), el("dd", { text: t(`keys.${name}`) })]));
}
