// Web Mercator, as map tiles use it: the world is a square of 256 px at zoom 0. Pure.

export const TILE = 256;
const LATITUDE_MAX = 85.0511;
const EQUATOR_M = 40075016.686;

/** Degrees -> { x, y }, each 0..1 over the world's square. */
export function project({ lat, lon }) {
  const sine = Math.sin((Math.max(-LATITUDE_MAX, Math.min(LATITUDE_MAX, lat)) * Math.PI) / 180);
  return { x: lon / 360 + 0.5, y: 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI) };
}

/** The way back. */
export function unproject({ x, y }) {
  return { lat: (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI, lon: (x - 0.5) * 360 };
}

/** How many metres a pixel is, at this zoom and latitude. */
export const metresPerPixel = (zoom, lat) => (EQUATOR_M * Math.cos((lat * Math.PI) / 180)) / (TILE * 2 ** zoom);

/** The view { x, y, zoom } (its centre) that shows all `points` in `width` x `height` pixels, `margin` pixels from its edge. */
export function fit(points, width, height, margin, zoomMax) {
  const at = points.map(project);
  const [left, right] = [Math.min(...at.map((p) => p.x)), Math.max(...at.map((p) => p.x))];
  const [top, bottom] = [Math.min(...at.map((p) => p.y)), Math.max(...at.map((p) => p.y))];
  const room = (size) => Math.max(1, size - 2 * margin);
  const zoom = Math.min(zoomMax, Math.log2(room(width) / TILE / Math.max(right - left, 1e-12)),
    Math.log2(room(height) / TILE / Math.max(bottom - top, 1e-12)));
  return { x: (left + right) / 2, y: (top + bottom) / 2, zoom: Math.max(0, zoom) };
}

/** A point -> pixels in the view. */
export function toPixels(point, view, width, height) {
  const scale = TILE * 2 ** view.zoom;
  const at = project(point);
  return { x: (at.x - view.x) * scale + width / 2, y: (at.y - view.y) * scale + height / 2 };
}

/** 1, 2 or 5 times a power of ten, at most `limit`. */
export function round(limit) {
  const power = 10 ** Math.floor(Math.log10(limit));
  return [5, 2, 1].find((factor) => factor * power <= limit) * power;
}

/** The tiles that cover the view: [{ x, y, z, left, top, size }] in pixels. */
export function tiles(view, width, height) {
  const z = Math.max(0, Math.min(19, Math.round(view.zoom)));
  const size = TILE * 2 ** (view.zoom - z);
  const count = 2 ** z;
  const [originX, originY] = [view.x * count - width / 2 / size, view.y * count - height / 2 / size];
  const found = [];
  for (let y = Math.max(0, Math.floor(originY)); y < Math.min(count, originY + height / size); y++) {
    for (let x = Math.floor(originX); x < originX + width / size; x++) {
      found.push({ x: ((x % count) + count) % count, y, z, left: (x - originX) * size, top: (y - originY) * size, size });
    }
  }
  return found;
}
