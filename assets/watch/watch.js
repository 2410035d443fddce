// The page: asks the server every two seconds what the folder holds, and draws it.
'use strict';

const PERIOD = 2000, KINDS = ['a', 'b', 'c', 'd'], SHOWN_RUNS = 300, SHOWN_IMAGES = 24;
const byId = id => document.getElementById(id);
let state = null;

const distinct = values => [...new Set(values.filter(v => v !== undefined))].sort((a, b) => a - b);
const nameOf = r => r.name || state.folder;
const sum = (list, key) => list.reduce((s, r) => s + (r[key] || 0), 0);

// ---- tiles ----
function progressOf(runs) { // by FLOPs where they are known of every run, else by tokens
  const known = runs.every(r => r.flops > 0), key = known ? 'flops' : 'tokens_planned', done = known ? 'flops_done' : 'tokens';
  let all = 0, ready = 0;
  for (const r of runs) {
    const ended = r.state === 'done' || r.state === 'diverged', whole = r[key] || 0;
    all += whole;
    ready += ended ? whole : Math.min(r[done] || 0, whole);
  }
  const rate = sum(runs.filter(r => r.state === 'running'), known ? 'flops_per_second' : 'tokens_per_second');
  return {share: all > 0 ? ready / all : NaN, left: rate > 0 ? (all - ready) / rate : NaN};
}

function drawTiles(runs) {
  const tiles = [], one = runs.length === 1 ? runs[0] : null;
  const tile = (value, what) => { if (value) tiles.push([value, what]); };
  const running = runs.filter(r => r.state === 'running'), ended = runs.filter(r => r.state === 'done' || r.state === 'diverged');
  const lost = runs.filter(r => r.state === 'diverged').length;
  const {share, left} = progressOf(runs), best = runs.filter(r => r.best > 0).sort((a, b) => a.best - b.best)[0];
  if (one) tile(one.state, one.why || (one.step ? `step ${one.step}` : 'no step yet'));
  else tile(`${ended.length} of ${runs.length}`, `runs done, ${running.length} running${lost ? `, ${lost} diverged` : ''}`);
  if (isFinite(share)) tile((100 * share).toFixed(share < .1 ? 1 : 0) + ' %', 'of the work done' + (running.length || share >= 1 ? '' : '; nothing is running'));
  if (running.length && isFinite(left)) tile(duration(left), 'left at the present speed');
  if (one && one.loss !== undefined) tile(plain(one.loss), 'loss of the last step');
  if (best) tile(plain(best.best), one ? 'least held-out loss' : 'least held-out loss: ' + nameOf(best));
  const speaks = running.length ? running : one ? [one] : [];
  if (sum(speaks, 'tokens_per_second')) tile(count(sum(speaks, 'tokens_per_second')) + ' tokens/s', running.length > 1 ? 'of all running runs' : 'speed');
  if (sum(speaks, 'flops_per_second')) tile(count(sum(speaks, 'flops_per_second')) + 'FLOP/s', "by the paper's formula");
  const memory = Math.max(...runs.map(r => r.device_bytes || 0));
  if (memory > 0) tile(count(memory) + 'B', 'most device memory of a run');
  const device = runs.map(r => r.device).find(d => d);
  if (device) tile(device, 'device');
  byId('tiles').replaceChildren(...tiles.map(([value, what]) => {
    const div = element('div', undefined, 'tile');
    div.append(element('b', value), element('span', what));
    return div;
  }));
}

// ---- curves ----
// What tells runs apart by colour: the first of these with a few values.
function colouring(runs) {
  const keys = [['params', 'parameters', count], ['lr', 'learning rate', plain], ['batch_tokens', 'batch, tokens', count], ['seed', 'seed', String]];
  for (const [key, title, text] of keys) {
    const values = distinct(runs.map(r => r[key]));
    if (values.length < 2 || values.length > 8) continue;
    const ramp = i => String(Math.round(i * 7 / (values.length - 1)));
    return {title, of: r => r[key] === undefined ? 'i' : ramp(values.indexOf(r[key])), keys: values.map((v, i) => ({colour: ramp(i), text: text(v)}))};
  }
  const few = runs.length <= 4, colour = i => few ? KINDS[i] : String(i % 8);
  return {title: '', of: r => colour(runs.indexOf(r)), keys: runs.slice(0, 8).map((r, i) => ({colour: colour(i), text: nameOf(r)}))};
}

const lineOf = (r, curve, more) => ({xs: curve[0], ys: curve[1], name: nameOf(r), ...more});

function show(id, visible) {
  byId(id).hidden = !visible;
  return visible ? byId(id).querySelector('.here') : null;
}

function drawCurves(runs) {
  const log = byId('log').checked, begun = runs.filter(r => r.losses[0].length), measured = runs.filter(r => r.heldouts[0].length);
  const together = runs.length === 1, place = show('plot-loss', begun.length > 0);
  if (place && together) {
    const r = begun[0], lines = [lineOf(r, r.losses, {colour: 'a', thin: true})], keys = [{colour: 'a', text: 'training'}];
    if (measured.length) {
      lines.push(lineOf(r, r.heldouts, {colour: 'b', points: true}));
      keys.push({colour: 'b', text: 'held out'});
    }
    linePlot(place, 'Loss against trained tokens', lines, keys, '', log);
  } else if (place) {
    const c = colouring(begun);
    linePlot(place, 'Loss against trained tokens', begun.map(r => lineOf(r, r.losses, {colour: c.of(r), thin: true})), c.keys, c.title, log);
  }
  const held = show('plot-heldout', !together && measured.length > 0);
  if (!held) return;
  const c = colouring(measured);
  linePlot(held, 'Held-out loss', measured.map(r => lineOf(r, r.heldouts, {colour: c.of(r), points: true})), c.keys, c.title, log);
}

// ---- the map ----
function options(select, pairs) {
  const text = JSON.stringify(pairs);
  if (select.dataset.pairs === text) return;
  const before = select.value;
  select.dataset.pairs = text;
  select.replaceChildren(...pairs.map(([value, label]) => { const o = element('option', label); o.value = value; return o; }));
  if (pairs.some(([value]) => value === before)) select.value = before;
}

// The last held-out loss measured at up to `tokens`, not long before.
function lossAt(r, tokens) {
  let found = NaN;
  r.heldouts[0].forEach((t, i) => { if (t <= tokens * 1.02 && t >= tokens * .7) found = r.heldouts[1][i]; });
  return found;
}

function budgets(runs) {
  const planned = distinct(runs.map(r => r.tokens_planned)), last = planned[planned.length - 1];
  if (planned.length > 1 && planned.length <= 10) return planned;
  return [5, 4, 3, 2, 1, 0].map(k => last / 2 ** k).filter(t => runs.some(r => isFinite(lossAt(r, t))));
}

function fill(runs, xs, ys, xOf, yOf, valueOf) {
  const cells = [];
  ys.forEach((y, j) => xs.forEach((x, i) => {
    const here = runs.filter(r => xOf(r, x) && yOf(r, y)), values = here.map(r => valueOf(r, x)).filter(isFinite);
    if (!here.length) return;
    const value = values.length ? Math.min(...values) : NaN, live = here.some(r => r.state === 'running');
    cells.push({x: i, y: j, value, text: isFinite(value) ? plain(value) : live ? '…' : '', note:
      `${here.length > 1 ? here.length + ' runs, the least: ' : here[0].state + ': '}${isFinite(value) ? value : 'nothing measured yet'}`});
  }));
  return cells;
}

function drawMap(runs) {
  const rated = runs.filter(r => r.params > 0 && r.lr > 0);
  const sizes = distinct(rated.map(r => r.params)), rates = distinct(rated.map(r => r.lr)), batches = distinct(rated.map(r => r.batch_tokens));
  const spans = budgets(rated), choices = [];
  if (rates.length > 1 || batches.length > 1) choices.push(['hyper', 'batch and learning rate']);
  if (sizes.length > 1) choices.push(['size', 'size and tokens']);
  const place = show('plot-map', choices.length > 0);
  if (!place) return;
  options(byId('axes'), choices);
  options(byId('size'), sizes.map(n => [String(n), count(n)]));
  const hyper = byId('axes').value === 'hyper';
  byId('of-size').hidden = !hyper || sizes.length < 2;
  if (hyper) {
    const chosen = rated.filter(r => String(r.params) === byId('size').value);
    const cells = fill(chosen, distinct(chosen.map(r => r.lr)), distinct(chosen.map(r => r.batch_tokens)), (r, x) => r.lr === x,
                       (r, y) => r.batch_tokens === y, r => r.heldout ?? NaN);
    cellMap(place, 'Held-out loss by batch and learning rate', cells, distinct(chosen.map(r => r.lr)).map(plain),
            distinct(chosen.map(r => r.batch_tokens)).map(count), 'learning rate', 'batch, tokens');
  } else {
    const cells = fill(rated, spans, sizes, () => true, (r, y) => r.params === y, (r, x) => lossAt(r, x));
    cellMap(place, 'Held-out loss by size and tokens', cells, spans.map(count), sizes.map(count), 'trained tokens', 'parameters');
  }
  byId('map-note').textContent = hyper ? 'The last held-out loss of each run; of several in a cell, the least.'
    : 'The last held-out loss measured up to these tokens; of several runs in a cell, the least.';
}

// ---- samples ----
function drawSamples(runs) {
  const all = state.images.map(i => [i, state.folder]), gallery = byId('gallery'), kept = new Map();
  for (const r of runs) for (const i of r.images) all.push([i, nameOf(r)]);
  all.sort((a, b) => b[0].changed - a[0].changed).splice(SHOWN_IMAGES);
  byId('samples').hidden = !all.length;
  for (const f of gallery.children) kept.set(f.dataset.key, f); // what stays is not loaded again
  gallery.replaceChildren(...all.map(([image, owner]) => {
    const key = image.path + ' ' + image.changed;
    if (kept.has(key)) return kept.get(key);
    const figure = element('figure'), img = element('img'), file = image.path.split('/').pop();
    figure.dataset.key = key;
    img.alt = `samples: ${file} of ${owner}`;
    img.addEventListener('load', () => { img.className = 'loaded'; });
    img.src = 'files/' + image.path.split('/').map(encodeURIComponent).join('/') + '?' + image.changed;
    figure.append(img, element('figcaption', `${owner}, ${file.replace(/\.[a-z]+$/, '')}`));
    return figure;
  }));
}

// ---- the table ----
function drawTable(runs) {
  const columns = [
    ['run', null], ['state', r => r.state], ['done', null], ['step', r => String(r.step || '')], ['loss', r => plain(r.loss ?? NaN)],
    ['held out', r => plain(r.heldout ?? NaN)], ['tokens/s', r => r.tokens_per_second ? count(r.tokens_per_second) : ''],
    ['FLOP/s', r => r.flops_per_second ? count(r.flops_per_second) : ''], ['left', r => r.state === 'running' ? duration(r.seconds_left) : ''],
    ['parameters', r => r.params ? count(r.params) : ''], ['batch', r => r.batch ?? ''], ['rate', r => plain(r.lr ?? NaN)],
  ];
  byId('runs').hidden = !runs.length;
  const head = element('tr');
  head.append(...columns.map(c => element('th', c[0])));
  byId('runs').querySelector('thead').replaceChildren(head);
  const order = {running: 0, stopped: 1, diverged: 2, done: 3, waiting: 4};
  const sorted = [...runs].sort((a, b) => order[a.state] - order[b.state]).slice(0, SHOWN_RUNS);
  byId('runs').querySelector('tbody').replaceChildren(...sorted.map(r => {
    const row = element('tr'), name = element('td', nameOf(r), 'name'), done = element('td'), bar = element('progress');
    if (r.why) name.append(element('small', r.why));
    bar.max = 1;
    bar.value = r.tokens_planned > 0 ? Math.min(1, r.tokens / r.tokens_planned) : 0;
    bar.setAttribute('aria-label', 'work done');
    done.append(bar);
    row.append(...columns.map(([title, text]) => title === 'run' ? name : title === 'done' ? done : element('td', text(r))));
    return row;
  }));
  byId('runs-note').textContent = runs.length > SHOWN_RUNS ? `${runs.length - SHOWN_RUNS} more are not listed.` : '';
}

// ---- the loop ----
function draw() {
  if (!state) return;
  const runs = state.runs, changed = Math.max(0, ...runs.map(r => r.changed || 0));
  document.title = byId('title').textContent = state.folder;
  byId('sub').textContent = !runs.length ? 'No runs here yet: they are shown as they come.'
    : changed ? `Last step ${duration(Math.max(0, state.time - changed) / 1000)} ago` : 'No step yet';
  drawTiles(runs);
  drawCurves(runs);
  drawMap(runs);
  drawSamples(runs);
  drawTable(runs);
  document.body.dataset.drawn = String(runs.length);
}

async function poll() {
  if (!document.hidden) {
    try {
      const answer = await fetch('runs.json', {cache: 'no-store'});
      if (!answer.ok) throw new Error(answer.status);
      state = await answer.json();
      draw();
    } catch (e) {
      byId('sub').textContent = `No answer from vkdit watch (${e.message}); asking again`;
    }
  }
  setTimeout(poll, PERIOD);
}

for (const id of ['log', 'axes', 'size']) byId(id).addEventListener('change', draw);
addEventListener('resize', draw);
poll();
