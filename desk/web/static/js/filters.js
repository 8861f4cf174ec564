// The filters over a list: the list is read with them, and the same list is to be had as a file.

import { asker, get, query } from "./api.js";
import { button, el, fill, setAttribute, setText } from "./dom.js";
import { t } from "./i18n.js";
import { store } from "./store.js";
import { typedDayMs } from "./time.js";
import { refusalText } from "./words.js";

const LIMIT = 500;
const FILES = ["csv", "json"];

/** `name` begins the test ids; `list` and `files` are paths; `choices`: { field: { values(), textOf, unset } } beside column and days;
 * `take(rows)` gets what was read. Gives { bar, wrong, fields, read, render }. */
export function filters(name, { list, files, choices }, take) {
  const wrong = el("p", { class: "wrong", role: "alert" });
  const links = FILES.map((form) => el("a", { class: "file", testid: `${name}-${form}`, download: "", "data-t": `register.${form}` }));
  const choosers = { ...choices, device: { values: () => [...store.columns.keys()].sort(), textOf: (id) => id } };
  // A day is typed as this page writes dates: a browser's own field writes them in the browser's language.
  const day = { type: "text", inputmode: "numeric", autocomplete: "off", size: "11", maxlength: "10", "data-t-placeholder": "date.form" };
  const field = (tag, key, properties = {}) => [key, el(tag, { ...properties, testid: `${name}-${key}`, on: { change: read } })];
  const fields = Object.fromEntries([...Object.keys(choosers).map((key) => field("select", key)), field("input", "from", day), field("input", "to", day)]);
  const bar = el("form", { class: "filters", on: { submit: (event) => event.preventDefault() } },
    ...Object.entries(fields).map(([key, node]) => el("label", {}, el("span", { "data-t": `register.${key}` }), node)),
    button({ class: "quiet", "data-t": "register.clear", testid: `${name}-clear` }, clear), el("span", { class: "files" }, ...links));
  const ask = asker((rows) => {
    setText(wrong, "");
    take(rows);
  }, (error) => setText(wrong, refusalText(error)));

  function dayMs(typed, days = 0) {
    const ms = typedDayMs(typed.value, days);
    setAttribute(typed, "aria-invalid", typed.value.trim() && ms === "" ? "true" : null);
    return ms;
  }

  async function read() {
    const { device, ...chosen } = Object.fromEntries(Object.entries(choosers).map(([key, { unset = "" }]) => [key, fields[key].value || unset]));
    const wanted = { ...chosen, device_id: device, from_ms: dayMs(fields.from), to_ms: dayMs(fields.to, 1) };
    FILES.forEach((form, index) => setAttribute(links[index], "href", `${files}.${form}${query(wanted)}`));
    await ask(() => get(list + query({ ...wanted, limit: LIMIT })));
  }

  function clear() {
    for (const node of Object.values(fields)) node.value = "";
    read();
  }

  /** What there is to choose from, in the present language. */
  function render() {
    for (const [key, { values, textOf }] of Object.entries(choosers)) fill(fields[key], [["", t("register.all")], ...values().map((value) => [value, textOf(value)])]);
  }
  return { bar, wrong, fields, read, render };
}
