// Day and night colours: as the system says, or as chosen.

import { setAttribute, setText } from "./dom.js";
import { t } from "./i18n.js";

const KEPT = "sos-theme";
const SIGNS = { auto: "◐", day: "○", night: "●" };
const ORDER = ["auto", "day", "night"];
const dark = matchMedia("(prefers-color-scheme: dark)");

const chosen = () => (ORDER.includes(localStorage.getItem(KEPT)) ? localStorage.getItem(KEPT) : "auto");

function apply() {
  const wanted = chosen() === "auto" ? (dark.matches ? "night" : "day") : chosen();
  setAttribute(document.documentElement, "data-theme", wanted);
}

export function start() {
  dark.addEventListener("change", apply);
  apply();
}

export function show(node) {
  setText(node, SIGNS[chosen()]);
  for (const name of ["aria-label", "title"]) setAttribute(node, name, t(`theme.${chosen()}`));
}

/** The next one; shows it on its button. */
export function next(node) {
  localStorage.setItem(KEPT, ORDER[(ORDER.indexOf(chosen()) + 1) % ORDER.length]);
  apply();
  show(node);
}
