// SVG plots with the look of the report's: lines over two axes, and a map of cells.
'use strict';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 760, HEIGHT = 440, LEFT = 104, TOP = 36, BOTTOM = 74, RIGHT = 32;
const narrow = () => matchMedia('(max-width:600px)').matches;

function shape(name, attributes, text) {
  const e = document.createElementNS(SVG, name);
  for (const k in attributes) e.setAttribute(k, attributes[k]);
  if (text !== undefined) e.textContent = text;
  return e;
}

function element(name, text, kind) {
  const e = document.createElement(name);
  if (text !== undefined) e.textContent = text;
  if (kind) e.className = kind;
  return e;
}

// ---- numbers as text ----
function count(v) { // 17 M
  const units = ['', ' k', ' M', ' G', ' T', ' P', ' E'];
  let u = 0;
  while (Math.abs(v) >= 999.5 && u + 1 < units.length) v /= 1000, u++;
  return (v === 0 ? '0' : String(+v.toPrecision(3))) + units[u];
}
function plain(v) { // 0.4213
  if (!isFinite(v)) return '';
  const size = Math.abs(v);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? v.toExponential(2).replace(/\.?0*e\+?/, 'e') : String(+v.toPrecision(4));
}
function duration(s) {
  if (!(s >= 0)) return '';
  if (s < 99.5) return Math.round(s) + ' s';
  if (s < 99.5 * 60) return Math.round(s / 60) + ' min';
  return s < 48 * 3600 ? (s / 3600).toFixed(1) + ' h' : (s / 86400).toFixed(1) + ' days';
}

// ---- axes ----
function makeAxis(values, log) {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (isFinite(v) && (!log || v > 0)) low = Math.min(low, v), high = Math.max(high, v);
  if (!(low <= high)) low = 1, high = 2;
  const at = v => log ? Math.log(v) : v, back = v => log ? Math.exp(v) : v;
  const margin = (at(high) - at(low)) * .04 || (log ? .05 : Math.abs(high) * .05 || 1);
  const a = {log, low: back(at(low) - margin), high: back(at(high) + margin)};
  a.share = v => (at(v) - at(a.low)) / (at(a.high) - at(a.low));
  return a;
}

// Round values inside the axis, at most `most` of them.
function ticks(a, most) {
  const out = [];
  const decades = Math.log10(a.high / a.low);
  if (a.log && decades > 1.2) {
    const sets = [[1, 2, 5], [1, 3], [1]];
    for (const steps of sets.concat([2, 3, 5, 10].map(n => [n]))) {
      out.length = 0;
      for (let p = Math.floor(Math.log10(a.low)); p <= Math.ceil(Math.log10(a.high)); p++)
        if (steps.length > 1 || steps[0] === 1 || p % steps[0] === 0)
          for (const s of steps.length > 1 ? steps : [1]) {
            const v = +(s + 'e' + p);
            if (v >= a.low && v <= a.high) out.push(v);
          }
      if (out.length <= most) return out;
    }
    return out.slice(0, most);
  }
  for (let p = Math.floor(Math.log10((a.high - a.low) / most)); ; p++)
    for (const s of [1, 2, 5]) {
      const step = +(s + 'e' + p), first = Math.ceil(a.low / step);
      if (Math.floor(a.high / step) - first + 1 > most) continue;
      for (let k = first; k * step <= a.high; k++) out.push(+(k * step).toPrecision(12));
      return out;
    }
}

// A label's middle, moved where it would leave the plot.
const inside = (x, text, size) => Math.min(x, WIDTH - 2 - text.length * size * .3);

function frame(svg, x, y, xLabel, yLabel) {
  const right = WIDTH - RIGHT, bottom = HEIGHT - BOTTOM, size = narrow() ? 24 : 13;
  const px = v => LEFT + (right - LEFT) * x.share(v), py = v => bottom + (TOP - bottom) * y.share(v);
  for (const v of ticks(x, narrow() ? 5 : 7)) {
    const text = count(v);
    svg.append(shape('path', {class: 'grid', d: `M${px(v)} ${TOP}V${bottom}`}),
               shape('path', {class: 'tick', d: `M${px(v)} ${bottom}v5`}),
               shape('text', {x: inside(px(v), text, size), y: bottom + 6, dy: '.95em', 'text-anchor': 'middle'}, text));
  }
  for (const v of ticks(y, narrow() ? 7 : 9))
    svg.append(shape('path', {class: 'grid', d: `M${LEFT} ${py(v)}H${right}`}),
               shape('path', {class: 'tick', d: `M${LEFT} ${py(v)}h-5`}),
               shape('text', {x: LEFT - 8, y: py(v), dy: '.35em', 'text-anchor': 'end'}, plain(v)));
  svg.append(shape('text', {class: 'dim', x: LEFT, y: TOP - 9}, yLabel),
             shape('text', {class: 'dim', x: (LEFT + right) / 2, y: bottom + 6, dy: '2.4em', 'text-anchor': 'middle'}, xLabel),
             shape('rect', {class: 'frame', x: LEFT, y: TOP, width: right - LEFT, height: bottom - TOP}));
  return [px, py];
}

// keys: [{colour, dashed, text}]; the legend above a plot
function legend(title, keys) {
  const p = element('p', undefined, 'key');
  if (title) p.append(element('span', title, 'of'));
  for (const k of keys) {
    const span = element('span'), svg = shape('svg', {class: 'fp sw', width: 26, height: 12, 'aria-hidden': 'true'});
    svg.append(shape('path', {class: 'l s' + k.colour + (k.dashed ? ' d' : ''), d: 'M1 6h24'}));
    span.append(svg, k.text);
    p.append(span);
  }
  return p;
}

// lines: [{xs, ys, colour, dashed, points, name}]
function linePlot(place, title, lines, keys, keyTitle, log) {
  const xs = lines.flatMap(l => l.xs), ys = lines.flatMap(l => l.ys);
  const positive = log && ys.every(v => v > 0) && xs.some(v => v > 0);
  const x = makeAxis(xs, log && xs.every(v => v > 0)), y = makeAxis(ys, positive);
  const svg = shape('svg', {class: 'fp plot', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img'});
  svg.append(shape('title', {}, title));
  const [px, py] = frame(svg, x, y, 'trained tokens', 'loss');
  for (const l of lines) {
    const d = l.xs.map((v, i) => (i ? 'L' : 'M') + px(v).toFixed(1) + ' ' + py(l.ys[i]).toFixed(1)).join('');
    const path = shape('path', {class: (l.thin ? 't s' : 'l s') + l.colour + (l.dashed ? ' d' : ''), d});
    path.append(shape('title', {}, l.name));
    svg.append(path);
    if (l.points && l.xs.length <= 40)
      for (let i = 0; i < l.xs.length; i++)
        svg.append(shape('circle', {class: 'p f' + l.colour, cx: px(l.xs[i]).toFixed(1), cy: py(l.ys[i]).toFixed(1), r: 3}));
  }
  place.replaceChildren(legend(keyTitle, keys), svg);
}

// cells: [{x, y, value, text, note}], x and y indices into the texts of the axes
function cellMap(place, title, cells, xTexts, yTexts, xLabel, yLabel) {
  const size = narrow() ? 24 : 13, rows = yTexts.length, columns = xTexts.length;
  const left = 20 + size * .62 * Math.max(...yTexts.map(t => t.length)), right = WIDTH - 12, top = TOP + 8;
  const high = Math.max(size * 1.9, Math.min(64, 380 / rows)), wide = (right - left) / columns;
  const bottom = top + high * rows, height = bottom + (narrow() ? 74 : 46);
  const svg = shape('svg', {class: 'fp plot whole', viewBox: `0 0 ${WIDTH} ${height.toFixed(0)}`, role: 'img'});
  const values = cells.map(c => c.value).filter(isFinite), low = Math.min(...values), span = Math.max(...values) - low;
  svg.append(shape('title', {}, title),
             shape('text', {class: 'dim', x: 4, y: top - 12}, yLabel),
             shape('text', {class: 'dim', x: (left + right) / 2, y: bottom + 6, dy: '2.4em', 'text-anchor': 'middle'}, xLabel));
  const fits = wide > size * .62 * 6.5, every = Math.ceil(size * .62 * (1 + Math.max(...xTexts.map(t => t.length))) / wide);
  yTexts.forEach((t, i) => svg.append(shape('text', {x: left - 8, y: bottom - high * (i + .5), dy: '.35em', 'text-anchor': 'end'}, t)));
  xTexts.forEach((t, i) => {
    if (i % every === 0)
      svg.append(shape('text', {x: inside(left + wide * (i + .5), t, size), y: bottom + 6, dy: '.95em', 'text-anchor': 'middle'}, t));
  });
  for (const c of cells) {
    const x = left + wide * c.x, y = bottom - high * (c.y + 1), known = isFinite(c.value);
    const step = known ? Math.round(7 * (span > 0 ? (c.value - low) / span : 0)) : -1;
    const box = {x: x + 1, y: y + 1, width: wide - 2, height: high - 2};
    const rect = shape('rect', known ? {...box, class: 'm f' + step} : {...box, class: 'frame'});
    rect.append(shape('title', {}, c.note));
    svg.append(rect);
    if (known && c.value === low) svg.append(shape('rect', {...box, class: 'best'}));
    if (fits && c.text) svg.append(shape('text', {x: x + wide / 2, y: y + high / 2, dy: '.35em', 'text-anchor': 'middle'}, c.text));
  }
  svg.append(shape('rect', {class: 'frame', x: left, y: top, width: right - left, height: bottom - top}));
  place.replaceChildren(svg);
}
