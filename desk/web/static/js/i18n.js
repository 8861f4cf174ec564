// Words of the page in the language of the reader.

import { setText } from "./dom.js";

const FALLBACK = "en";
const KEPT = "sos-language";
// By hand: not every browser has Kazakh.
const PLURAL = {
  en: (n) => (n === 1 ? "one" : "other"),
  kk: (n) => (n === 1 ? "one" : "other"),
  ru: (n) => {
    if (!Number.isInteger(n)) return "other";
    const [ten, hundred] = [n % 10, n % 100];
    if (ten === 1 && hundred !== 11) return "one";
    return ten >= 2 && ten <= 4 && (hundred < 12 || hundred > 14) ? "few" : "many";
  },
};
const NAMES = { en: "English", ru: "Русский", kk: "Қазақша" };

let words = {};
let language = FALLBACK;
let wish = FALLBACK; // whoever chooses twice gets the second, in whatever order the words arrive
const listeners = [];

export const current = () => language;
/** A number with a point in English, with a comma in Russian and Kazakh. */
export const decimal = (number, digits) => number.toFixed(digits).replace(".", language === "en" ? "." : ",");
export const onLanguage = (listener) => listeners.push(listener);

/** The reader chooses in `select`. Resolves when the page has words; rejects when they cannot be fetched. */
export async function chooseLanguage(select) {
  for (const [code, name] of Object.entries(NAMES)) {
    select.append(new Option(name, code));
    select.lastChild.lang = code;
  }
  select.addEventListener("change", () => use(select.value).catch(() => { select.value = language; }));
  await use(preferred());
  select.value = language;
}

/** Fetches and shows `known`; keeps the choice. Rejects if its words cannot be fetched: the old ones stay. */
export async function use(known) {
  wish = known;
  const answer = await fetch(`/static/i18n/${known}.json`);
  if (!answer.ok) throw new Error(`language ${known}: HTTP ${answer.status}`);
  const fetched = await answer.json();
  if (known !== wish) return;
  words = fetched;
  language = known;
  localStorage.setItem(KEPT, known);
  document.documentElement.lang = known;
  apply(document);
  for (const listener of listeners) listener();
}

/** The language to begin with: the one chosen before, else the browser's. */
export function preferred() {
  const wishes = [localStorage.getItem(KEPT), ...navigator.languages.map((tag) => tag.slice(0, 2))];
  return wishes.find((wish) => wish in NAMES) ?? FALLBACK;
}

export const has = (key) => key in words;

/** The words for `key`, with `{name}` replaced; with a number `n` the right plural. */
export function t(key, values = {}) {
  let text = words[key] ?? key;
  if (typeof text === "object") text = text[PLURAL[language](values.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/** Fills the elements that name their words: data-t, data-t-label, data-t-placeholder. */
export function apply(root) {
  for (const node of root.querySelectorAll("[data-t]")) setText(node, t(node.dataset.t));
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of root.querySelectorAll("[data-t-placeholder]")) node.placeholder = t(node.dataset.tPlaceholder);
}
