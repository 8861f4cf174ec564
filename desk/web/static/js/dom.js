// Small helpers that make elements. Text from the server enters the page here only, as text: never as markup.

const SVG = "http://www.w3.org/2000/svg";
// Control characters, and those that turn the direction of the text around them.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;
const TEXT_MAX = 300;

/** `value` as text that is safe to look at: without control characters, at most `limit` long. */
export function plain(value, limit = TEXT_MAX) {
  if (value === null || value === undefined) return "";
  const text = (typeof value === "string" ? value : typeof value === "object" ? JSON.stringify(value) : String(value))
    .slice(0, limit + 1).replace(UNSEEN, "\ufffd");
  return text.length > limit ? text.slice(0, limit - 1) + "…" : text;
}

/** Sets the text if it differs: a live region is not read out again, a selection is not lost. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets or (null, false) removes an attribute if it differs. */
export function setAttribute(node, name, value) {
  if (value === null || value === undefined || value === false) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

function furnish(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") node.textContent = value;
    else if (name === "testid") node.dataset.testid = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else setAttribute(node, name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** An element. `properties`: `text`, `testid`, `on` {event: function}; everything else is an attribute. */
export function el(tag, properties = {}, ...children) {
  return furnish(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function svg(tag, properties = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), properties, children);
}

/** Brings the children of `parent` in line with `items`: what stays is kept in place, and with it focus and announcements. */
export function keyed(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let next = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let node = old.get(key);
    old.delete(key);
    if (!node) {
      node = create(item);
      node.dataset.key = key;
    }
    update(node, item);
    if (node === next) next = next.nextElementSibling;
    else parent.insertBefore(node, next);
  }
  for (const node of old.values()) node.remove();
}

/** The options of a select, [value, text]: what is chosen stays, and so does a list that is open. */
export function fill(select, options) {
  keyed(select, options, ([value]) => String(value), ([value]) => el("option", { value }), (option, [, text]) => setText(option, text));
}

/** A table that scrolls by itself. `heads`: what each head's `th` has. */
export function table(properties, heads, body) {
  const row = el("tr", {}, ...heads.map((head) => el("th", { scope: "col", ...head })));
  return el("div", { class: "table", tabindex: "0", ...properties }, el("table", {}, el("thead", {}, row), body));
}

/** A button that a double click presses once: the second click would land on whatever came to stand there. */
export function button(properties, act, ...children) {
  const once = (event) => {
    if (event.detail > 1) return;
    act(event);
  };
  return el("button", { type: "button", ...properties, on: { click: once } }, ...children);
}

const PRESS_MAX_MS = 500; // a hand takes 50 to 300; what is held longer (a map, the button to speak) holds nothing up

let pressed = false;
let limit = 0;
let waiting = [];

/** Does it, but not while a mouse button is down: what it moves is gone from under it, and the click is lost. What
 * comes over the feed, as an answer or with each second goes through here, and keeps its order. */
export function unpressed(act) {
  if (pressed || waiting.length) waiting.push(act);
  else act();
}

/** Resolves when no mouse button is down. */
export const released = () => new Promise(unpressed);

/** For what a press itself sets off (it takes the focus from a field): does it soon. */
export const afterPress = (act) => setTimeout(() => unpressed(act));

function letGo() {
  pressed = false;
  setTimeout(() => { // behind the click
    if (pressed) return;
    const due = waiting;
    waiting = [];
    for (const act of due) {
      try {
        act();
      } catch (error) {
        reportError(error); // the others are done all the same
      }
    }
  });
}

document.addEventListener("pointerdown", () => {
  pressed = true;
  clearTimeout(limit);
  limit = setTimeout(letGo, PRESS_MAX_MS);
}, true);
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, letGo, true);
window.addEventListener("blur", letGo); // it can be let go outside
