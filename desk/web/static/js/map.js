// The map of the town: columns by their coordinates, a grid and a scale; tiles below it when there are any.
// docs/developing.md says why it is not Leaflet's.

import { keyed, plain, setAttribute, setText, svg } from "./dom.js";
import { t } from "./i18n.js";
import { TILE, fit, metresPerPixel, project, round, tiles, toPixels, unproject } from "./mercator.js";
import { isHalfIn } from "./rights.js";
import { columnsSeen, isUnanswered, on, openCalls, select, store } from "./store.js";
import { placeText, statusText } from "./words.js";

const MARGIN = 70;
const ZOOM_MAX = 17;
const ZOOM_FIT = 15.5;
const SCALE_MAX = 130;
const GRID_PX = 90;
const ALARMS_LAST = { alarm: 3, silent: 2, offline: 2, fault: 1 }; // drawn on top

let chosen = null; // the view that the officer chose; null: fitted to the columns
let view = null;
let host = null;
const layers = {};
const root = svg("svg", { class: "map", testid: "map", role: "group" });

const geoOf = (column) => {
  const { lat, lon } = column.geo ?? {};
  return Number.isFinite(lat) && Number.isFinite(lon) ? { lat, lon } : null;
};
const placed = () => columnsSeen().filter(geoOf);

function drawTiles(width, height) {
  const template = store.config.tiles;
  const wanted = template && view ? tiles(view, width, height) : [];
  keyed(layers.tiles, wanted, (tile) => `${tile.z}/${tile.x}/${tile.y}/${Math.round(tile.left)}`, (tile) => svg("image", {
    href: template.replace("{z}", tile.z).replace("{x}", tile.x).replace("{y}", tile.y), "aria-hidden": "true",
  }), (image, tile) => {
    for (const [name, value] of [["x", tile.left], ["y", tile.top], ["width", tile.size + 0.5], ["height", tile.size + 0.5]]) {
      setAttribute(image, name, value.toFixed(1));
    }
  });
}

function drawGrid(width, height) {
  const centre = view ? unproject(view) : { lat: 0 };
  const metre = view ? 1 / metresPerPixel(view.zoom, centre.lat) : 0;
  const step = view ? round((GRID_PX * 2) / metre) * metre : GRID_PX;
  const lines = [];
  for (let x = (width / 2) % step; x < width; x += step) lines.push(`M${x.toFixed(1)} 0V${height}`);
  for (let y = (height / 2) % step; y < height; y += step) lines.push(`M0 ${y.toFixed(1)}H${width}`);
  setAttribute(layers.grid, "d", lines.join(""));
  const length = view ? round(SCALE_MAX / metre) : 0;
  const [x, y, bar] = [14, height - 16, length * metre];
  setAttribute(layers.scale, "d", length ? `M${x} ${y - 6}v6h${bar.toFixed(1)}v-6` : "");
  setText(layers.scaleText, length ? (length >= 1000 ? t("unit.km", { n: length / 1000 }) : t("unit.m", { n: length })) : "");
  setAttribute(layers.scaleText, "x", x + 4);
  setAttribute(layers.scaleText, "y", y - 7);
}

// A status has a shape, not only a colour.
const SHAPES = {
  ready: "M-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z",
  fault: "M0 -9L9 7H-9z",
  silent: "M-8 -8H8V8H-8z",
  offline: "M-8 -8H8V8H-8z",
  alarm: "M-12 0a12 12 0 1 0 24 0a12 12 0 1 0 -24 0z",
};
const SIGNS = { fault: "!", silent: "?", offline: "?", alarm: "SOS" };

function createMarker({ device_id: id }) {
  const open = () => {
    const call = openCalls().filter((one) => one.device_id === id).sort((a, b) => isUnanswered(b) - isUnanswered(a))[0];
    if (call) select("incident", call.id);
    else select("column", id);
  };
  return svg("g", {
    class: "marker", tabindex: "0", role: "button", testid: `marker-${id}`,
    on: { click: open, keydown: (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      open();
    } },
  }, svg("circle", { class: "halo", r: "22" }), svg("path", { class: "shape" }),
  svg("text", { class: "sign", "text-anchor": "middle", y: "4" }), svg("text", { class: "label" }));
}

/** How far a marker reaches from its point: a call has a ring. */
const reach = (column) => (column.status === "alarm" || isSelected(column) ? 26 : 10);

/** Where a label may stand: beside its marker, above or below it. */
const sides = (far) => [
  { x: far + 5, y: 4, anchor: "start" }, { x: -far - 5, y: 4, anchor: "end" },
  { x: 0, y: -far - 7, anchor: "middle" }, { x: 0, y: far + 15, anchor: "middle" },
];

function side(at, far, length, taken, width) {
  for (const place of sides(far)) {
    const shift = place.anchor === "start" ? 0 : place.anchor === "end" ? -length : -length / 2;
    const box = { left: at.x + place.x + shift, top: at.y + place.y - 13, right: at.x + place.x + shift + length, bottom: at.y + place.y + 4 };
    const free = box.left > 2 && box.right < width - 2 && taken.every((other) => box.right < other.left || box.left > other.right
      || box.bottom < other.top || box.top > other.bottom);
    if (free) return { place, box };
  }
  return null;
}

function drawMarkers(width, height) {
  const columns = view ? placed().sort((a, b) => (ALARMS_LAST[a.status] ?? 0) - (ALARMS_LAST[b.status] ?? 0)) : [];
  const at = new Map(columns.map((column) => [column.device_id, toPixels(geoOf(column), view, width, height)]));
  const taken = columns.map((column) => [at.get(column.device_id), reach(column)])
    .map(([{ x, y }, far]) => ({ left: x - far, right: x + far, top: y - far, bottom: y + far }));
  const labels = new Map();
  for (const column of [...columns].reverse()) { // the most urgent chooses first
    const big = column.status === "alarm";
    const names = big ? [plain(placeText(column), 42), plain(column.device_id, 32)] : [plain(column.device_id, 32)];
    for (const text of names) {
      const found = side(at.get(column.device_id), reach(column), text.length * (big ? 9.2 : 7.4), taken, width);
      if (!found) continue;
      taken.push(found.box);
      labels.set(column.device_id, { text, place: found.place });
      break;
    }
    if (isSelected(column) && !labels.has(column.device_id)) labels.set(column.device_id, { text: names[1], place: sides(reach(column))[2] }); // over the others
  }
  keyed(layers.markers, columns, (column) => column.device_id, createMarker, (node, column) => {
    const { x, y } = at.get(column.device_id);
    setAttribute(node, "transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
    setAttribute(node, "data-status", column.status);
    setAttribute(node, "data-selected", isSelected(column));
    setAttribute(node, "data-waits", openCalls().some((one) => one.device_id === column.device_id && isUnanswered(one)));
    setAttribute(node, "aria-label", `${placeText(column)}: ${statusText(column.status)}`);
    setAttribute(node.children[1], "d", SHAPES[column.status] ?? SHAPES.ready);
    setText(node.children[2], SIGNS[column.status] ?? "");
    const { text = "", place } = labels.get(column.device_id) ?? {};
    setText(node.children[3], text);
    setAttribute(node.children[3], "x", place?.x ?? 0);
    setAttribute(node.children[3], "y", place?.y ?? 0);
    setAttribute(node.children[3], "text-anchor", place?.anchor ?? "start");
  });
}

function isSelected(column) {
  const { kind, id } = store.selected ?? {};
  return kind === "column" ? id === column.device_id : store.incidents.get(id)?.device_id === column.device_id;
}

/** The view of all points, below the line of text that lies over the map. */
function fitted(points, width, height) {
  const text = document.getElementById("calm");
  const covered = text.hidden ? 0 : Math.min(text.offsetTop + text.offsetHeight, height / 3);
  const room = height - covered;
  const found = fit(points, width, room, Math.min(MARGIN, width / 6, room / 5), ZOOM_FIT);
  return { ...found, y: found.y - covered / 2 / (TILE * 2 ** found.zoom) };
}

/** Draws the map into its host, at the host's size. */
export function render() {
  const { clientWidth: width, clientHeight: height } = host;
  if (!width || !height) return;
  setAttribute(root, "viewBox", `0 0 ${width} ${height}`);
  setAttribute(root, "aria-label", t("map.label"));
  const points = placed().map(geoOf);
  view = chosen ?? (points.length ? fitted(points, width, height) : null);
  drawTiles(width, height);
  drawGrid(width, height);
  drawMarkers(width, height);
  setText(layers.none, points.length || isHalfIn() ? "" : t("map.none"));
}

function zoom(by, point) {
  if (!view) return;
  const next = Math.max(3, Math.min(ZOOM_MAX + 2, view.zoom + by));
  const anchor = point ?? view;
  const ratio = 1 - 2 ** (view.zoom - next);
  chosen = { x: view.x + (anchor.x - view.x) * ratio, y: view.y + (anchor.y - view.y) * ratio, zoom: next };
  render();
}

/** The whole town again. */
function showAll() {
  chosen = null;
  render();
}

/** Moves the map until the column is on it, if it is not. */
export function reveal(column) {
  const point = column && geoOf(column);
  if (!point || !chosen) return;
  const at = toPixels(point, chosen, host.clientWidth, host.clientHeight);
  if (at.x > 20 && at.y > 20 && at.x < host.clientWidth - 20 && at.y < host.clientHeight - 20) return;
  chosen = { ...project(point), zoom: chosen.zoom };
  render();
}

function drag(event) {
  if (!view || event.button || event.target.closest(".marker")) return;
  const from = { x: event.clientX, y: event.clientY, view };
  root.setPointerCapture(event.pointerId);
  root.onpointermove = (moved) => {
    const scale = 256 * 2 ** from.view.zoom;
    chosen = { ...from.view, x: from.view.x - (moved.clientX - from.x) / scale, y: from.view.y - (moved.clientY - from.y) / scale };
    render();
  };
  root.onpointerup = root.onpointercancel = () => { root.onpointermove = null; };
}

/** Puts the map into `element` and keeps it up to date. */
export function mount(element) {
  host = element;
  layers.tiles = svg("g", { class: "tiles" });
  layers.grid = svg("path", { class: "grid" });
  layers.markers = svg("g");
  layers.scale = svg("path", { class: "scale" });
  layers.scaleText = svg("text", { class: "scale-text" });
  layers.none = svg("text", { class: "map-none", x: "24", y: "40" });
  root.append(layers.tiles, layers.grid, layers.markers, layers.scale, layers.scaleText, layers.none);
  host.append(root);
  const sized = new ResizeObserver(() => {
    render();
    const { kind, id } = store.selected ?? {}; // a panel that opened must not hide what it is about
    reveal(store.columns.get(kind === "column" ? id : store.incidents.get(id)?.device_id));
  });
  sized.observe(host);
  sized.observe(document.getElementById("calm"));
  root.addEventListener("pointerdown", drag);
  document.getElementById("zoom-in").addEventListener("click", () => zoom(1));
  document.getElementById("zoom-out").addEventListener("click", () => zoom(-1));
  document.getElementById("zoom-fit").addEventListener("click", showAll);
  for (const topic of ["columns", "incidents", "selected", "desk"]) on(topic, render);
}
