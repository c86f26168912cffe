// The track of the machine's present run as a sketch. It needs no map and loads none.

import * as api from './api.js';
import { calmly, el, put, svg } from './dom.js';
import { t } from './words.js';

const WIDTH = 640;
const HEIGHT = 420;
const MARGIN = 40;
// Metres in a degree of latitude, from the mean radius of the Earth.
const METRES_PER_DEGREE = 111195.08;

export async function show(root, { onHint }) {
  const place = el('div');
  put(root, el('h2', {}, t('map')), place);
  const load = async () => place.replaceChildren(sketch((await api.get('track')).points));
  const again = calmly(load, 2000);
  onHint((hint) => { if (hint.type === 'captured' || hint.type === 'again') again(); });
  await load();
}

// Draws the points, north up. `current` is the capture to mark.
export function sketch(points, current) {
  if (points.length === 0) return el('p', {}, t('no_positions'));
  const latitudes = points.map((point) => point.position.latitude_deg);
  const middle = (Math.min(...latitudes) + Math.max(...latitudes)) / 2;
  const first = points[0].position.longitude_deg;
  const flat = points.map(({ capture, position }) => ({
    capture,
    east: (((position.longitude_deg - first + 540) % 360) - 180) * METRES_PER_DEGREE * Math.cos((middle * Math.PI) / 180),
    north: (position.latitude_deg - middle) * METRES_PER_DEGREE,
  }));
  const span = (values) => [Math.min(...values), Math.max(...values)];
  const [west, east] = span(flat.map((point) => point.east));
  const [south, north] = span(flat.map((point) => point.north));
  const metresPerPixel = Math.max((east - west) / (WIDTH - 2 * MARGIN), (north - south) / (HEIGHT - 2 * MARGIN), 0.02);
  const x = (point) => WIDTH / 2 + (point.east - (west + east) / 2) / metresPerPixel;
  const y = (point) => HEIGHT / 2 - (point.north - (south + north) / 2) / metresPerPixel;
  const dot = (point) => svg('a', { href: `#capture/${point.capture}`, 'aria-label': `${t('photo')} ${point.capture}` },
    svg('circle', { cx: x(point).toFixed(1), cy: y(point).toFixed(1), r: point.capture === current ? 11 : 7,
      class: point.capture === current ? 'here' : '' }));
  const bar = round(metresPerPixel * 150);
  const pixels = bar / metresPerPixel;
  return svg('svg', { class: 'map', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'group', 'aria-label': t('map') },
    svg('polyline', { class: 'way', points: flat.map((point) => `${x(point).toFixed(1)},${y(point).toFixed(1)}`).join(' ') }),
    ...flat.map(dot),
    svg('line', { class: 'scale', x1: 16, y1: HEIGHT - 16, x2: 16 + pixels, y2: HEIGHT - 16 }),
    text(16, HEIGHT - 24, bar >= 1000 ? `${bar / 1000} km` : `${bar} m`),
    text(WIDTH - 16, 32, 'N ↑'));
}

function text(x, y, words) {
  const element = svg('text', { x, y, 'text-anchor': x > WIDTH / 2 ? 'end' : 'start' });
  element.textContent = words;
  return element;
}

// Returns the largest value of at most `metres` that is 1, 2 or 5 times a power of ten.
function round(metres) {
  const power = 10 ** Math.floor(Math.log10(metres));
  return [5, 2, 1].map((step) => step * power).find((step) => step <= metres) ?? power;
}
