'use strict';
// Shows what /events tells. Every text reaches the document as a text node; rows are kept and changed in place.
const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';
const KEEP_MS = 300_000, CALLS = 6000, TAP = 200, SECONDS = 60;
const methods = new Map(), stores = new Map(), refused = new Map(), loops = new Map();
let calls = [], ids = new Set(), gains = [], chosen = '', shown = null, box = null, paused = false, hovered = false;
let sort = { by: 'rate', up: false };

// --- small helpers

function el(name, text, attrs) {
  const node = document.createElement(name);
  if (text !== undefined && text !== null) node.textContent = text;
  for (const key in attrs) node.setAttribute(key, attrs[key]);
  return node;
}
function svg(name, attrs, text) {
  const node = document.createElementNS(SVG, name);
  for (const key in attrs) node.setAttribute(key, attrs[key]);
  if (text !== undefined) node.textContent = text;
  return node;
}
function put(node, text) { if (node.textContent !== text) node.textContent = text; }
function ms(us) {
  if (us === null || us === undefined) return '–';
  const v = us / 1000;
  return v >= 1000 ? (v / 1000).toFixed(2) + ' s' : (v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2)) + ' ms';
}
const per = (n, of) => of ? Math.round(100 * n / of) + ' %' : '–';
const rate = n => n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n ? n.toFixed(2) : '0';
const ago = s => s < 90 ? Math.max(0, Math.round(s)) + ' s ago' : s < 5400 ? Math.round(s / 60) + ' min ago' : s < 129600 ? Math.round(s / 3600) + ' h ago' : Math.round(s / 86400) + ' days ago';
const sum = list => list.reduce((a, b) => a + b, 0);
const mean = list => list.length ? sum(list) / list.length : 0;
function ring(list, value) { list.push(value); if (list.length > SECONDS) list.shift(); }
/** Draws the last minute; `full` is what the whole height stands for, otherwise the largest value. */
function spark(node, list, full) {
  const most = full || Math.max(1e-9, ...list), step = 116 / (SECONDS - 1), from = SECONDS - list.length;
  const d = list.map((v, i) => (i ? 'L' : 'M') + (2 + (from + i) * step).toFixed(1) + ',' + (20 - 18 * v / most).toFixed(1)).join('');
  node.firstChild.setAttribute('d', d);
}
function newSpark() {
  const node = svg('svg', { class: 'spark', width: 120, height: 22, viewBox: '0 0 120 22', 'aria-hidden': 'true' });
  node.append(svg('path', {}));
  return node;
}
/** A row with a heading and cells; those in `numbers` are right-aligned. */
function newRow(heading, cells, numbers) {
  const tr = el('tr'), th = el('th', undefined, { scope: 'row' });
  th.append(heading);
  tr.append(th);
  for (let i = 0; i < cells; i++) tr.append(el('td', '', numbers.includes(i) ? { class: 'n' } : {}));
  return tr;
}
function state(cell, kind, word) {
  if (!cell.firstChild || !cell.firstChild.className) cell.replaceChildren(el('span', ''));
  const span = cell.firstChild;
  span.className = 'state ' + kind;
  put(span, word);
}

// --- events

function listen() {
  const source = new EventSource('/events');
  source.onmessage = message => take(JSON.parse(message.data));
  source.onerror = () => put($('status'), 'not connected; trying again');
}
function take(event) {
  status(event);
  takeMethods(event);
  takeStores(event);
  takeRefused(event);
  takeLoops(event);
  if (event.gains) { gains = event.gains; drawPlan(); }
  add(event.calls);
  drawHeat();
  if (!paused && !hovered) drawTap();
}
function status(event) {
  const down = event.backends.filter(b => !b.up).length + event.endpoints.filter(e => !e.up).length;
  const parts = ['version ' + event.version, event.state, event.loops.length + (event.loops.length === 1 ? ' loop' : ' loops'),
    event.calls_in_flight + ' calls in flight', event.connections + ' connections',
    down ? down + ' stores or endpoints down' : 'all stores up', 'configuration read ' + ago(event.at_ms / 1000 - event.config_loaded_at)];
  if (event.reloads_refused) parts.push(event.reloads_refused + ' reloads refused');
  put($('status'), parts.join(' · '));
  // Only what matters is read aloud, and only when it changes.
  put($('said'), event.state + (down ? ', ' + parts[5] : ''));
  $('status').className = event.state === 'ready' && !down ? '' : 'bad';
  if (!event.records) put($('tap-note'), 'no calls are kept: admin.calls_kept is 0');
}

// --- methods

function takeMethods(event) {
  const now = new Map(event.methods.map(m => [m.method, m]));
  for (const name of now.keys()) if (!methods.has(name)) newMethod(name);
  if (event.whole) { for (const [name, m] of now) methods.get(name).ever = m.ok + m.partial + m.failed > 0; return sortMethods(); }
  for (const [name, method] of methods) {
    const m = now.get(name) || { ok: 0, partial: 0, failed: 0, p50_us: null, p99_us: null };
    ring(method.ok, m.ok); ring(method.partial, m.partial); ring(method.failed, m.failed);
    ring(method.all, m.ok + m.partial + m.failed);
    if (m.p99_us !== null) { method.p50.push(m.p50_us); method.p99.push(m.p99_us); method.ever = true; }
    if (method.p50.length > SECONDS) { method.p50.shift(); method.p99.shift(); }
    drawMethod(method);
  }
  sortMethods();
}
function newMethod(name) {
  const button = el('button', name), row = newRow(button, 5, [0, 2, 3]), line = newSpark();
  const split = el('span', undefined, { class: 'split' }), words = el('span');
  split.append(el('i', '', { class: 'ok' }), el('i', '', { class: 'partial' }), el('i', '', { class: 'failed' }));
  row.children[2].append(split, words);
  row.children[5].append(line);
  button.onclick = () => choose(chosen === name ? '' : name);
  methods.set(name, { name, row, line, split, words, ok: [], partial: [], failed: [], all: [], p50: [], p99: [], ever: false, rate: 0, bad: 0 });
  if (!name.startsWith('_')) for (const id of ['method', 'try-method']) $(id).append(el('option', name, { value: name }));
}
const middle = list => list.length ? [...list].sort((a, b) => a - b)[list.length >> 1] : null;
function drawMethod(m) {
  const [ok, partial, failed] = [sum(m.ok), sum(m.partial), sum(m.failed)], all = ok + partial + failed;
  m.rate = mean(m.all.slice(-10)); m.bad = all ? (partial + failed) / all : 0;
  m.now50 = middle(m.p50.slice(-10)); m.now99 = m.p99.length ? Math.max(...m.p99.slice(-10)) : null;
  const cells = m.row.children;
  put(cells[1], rate(m.rate));
  [ok, partial, failed].forEach((n, i) => { m.split.children[i].style.width = (all ? 100 * n / all : 0) + '%'; });
  put(m.words, all ? [per(ok, all), per(partial, all), per(failed, all)].join(', ') : 'no calls');
  put(cells[3], ms(m.now50)); put(cells[4], ms(m.now99));
  spark(m.line, m.all);
}
function sortMethods() {
  const key = { name: m => m.name, rate: m => m.rate, bad: m => m.bad, p50: m => m.now50 || 0, p99: m => m.now99 || 0 }[sort.by];
  const list = [...methods.values()].filter(m => !m.name.startsWith('_') || m.ever);
  list.sort((a, b) => (key(a) > key(b) ? 1 : key(a) < key(b) ? -1 : a.name > b.name ? 1 : -1) * (sort.up || key(a) === key(b) ? 1 : -1));
  const body = $('methods-table').tBodies[0];
  list.forEach((m, i) => { if (body.children[i] !== m.row) body.insertBefore(m.row, body.children[i] || null); });
}
function choose(name) {
  chosen = name; box = null;
  $('method').value = name;
  for (const m of methods.values()) m.row.classList.toggle('chosen', m.name === name);
  drawHeat(); differ(); drawPlan(); drawTap();
  if (name && !form) loadForm(name);
}

// --- stores, refusals, loops

function takeStores(event) {
  const body = $('stores-table').tBodies[0];
  const row = (key, name, sub) => {
    if (!stores.has(key)) {
      const tr = newRow(name, 6, [1, 2, 3, 4, 5]);
      if (sub) tr.className = 'sub';
      const after = sub ? [...stores.entries()].filter(([k]) => k === sub || k.startsWith(sub + '\n')).pop() : null;
      body.insertBefore(tr, after ? after[1].tr.nextSibling : null);
      stores.set(key, { tr, rates: [], cached: [], failed: [], seen: true });
    }
    const store = stores.get(key);
    store.seen = true;
    return store;
  };
  for (const store of stores.values()) store.seen = false;
  for (const b of event.backends) {
    const store = row(b.backend, b.backend), c = store.tr.children, all = sum(Object.values(b.answers));
    if (!event.whole) {
      ring(store.rates, all); ring(store.failed, b.answers.none || 0);
      ring(store.cached, (b.answers.cache || 0) + (b.answers.stale || 0));
    }
    const open = b.breakers_open > 0;
    state(c[1], !b.up ? 'bad' : open ? 'warn' : '', !b.up ? 'down' : open ? 'breaker open' : 'up');
    put(c[2], rate(mean(store.rates.slice(-10)))); put(c[3], '' + b.in_flight); put(c[4], '' + b.waiting);
    put(c[5], per(sum(store.cached), sum(store.rates))); put(c[6], rate(mean(store.failed.slice(-10))));
  }
  for (const e of event.endpoints) {
    const store = row(e.backend + '\n' + e.endpoint, e.endpoint, e.backend), c = store.tr.children;
    if (!event.whole) { ring(store.rates, e.ok + e.failed); ring(store.failed, e.failed); }
    state(c[1], e.up ? '' : 'bad', e.up ? 'up' : 'ejected');
    put(c[2], rate(mean(store.rates.slice(-10)))); put(c[6], rate(mean(store.failed.slice(-10))));
  }
  for (const [key, store] of stores) if (!store.seen) { store.tr.remove(); stores.delete(key); }
}
function takeRefused(event) {
  if (event.whole) return;
  for (const reason of Object.keys(event.refused)) {
    if (refused.has(reason)) continue;
    const tr = newRow(reason, 2, [0]), line = newSpark();
    // What `measure` would have refused is dotted.
    if (reason.includes('measured')) line.classList.add('dotted');
    tr.children[2].append(line);
    $('refused-table').tBodies[0].append(tr);
    refused.set(reason, { tr, line, list: [] });
  }
  for (const [reason, r] of refused) {
    ring(r.list, event.refused[reason] || 0);
    put(r.tr.children[1], '' + sum(r.list));
    spark(r.line, r.list);
  }
  $('refused-none').hidden = refused.size > 0;
  $('refused-table').hidden = !refused.size;
}
function takeLoops(event) {
  for (const l of event.loops) {
    if (!loops.has(l.loop)) {
      const tr = newRow(l.loop, 4, [0, 1, 2]), line = newSpark();
      tr.children[4].append(line);
      $('loops-table').tBodies[0].append(tr);
      loops.set(l.loop, { tr, line, list: [], busy: [] });
    }
    const of = loops.get(l.loop);
    if (of.at) ring(of.busy, Math.max(0, Math.min(1, (l.busy_us - of.was) / 1000 / Math.max(1, event.at_ms - of.at))));
    of.was = l.busy_us; of.at = event.at_ms;
    put(of.tr.children[1], of.busy.length ? (100 * mean(of.busy.slice(-5))).toFixed(1) + ' %' : '–');
    put(of.tr.children[2], ms(l.lag_us)); put(of.tr.children[3], ms(l.lag_max_us));
    spark(of.line, of.busy, 1);
  }
}

// --- calls

function add(list) {
  for (const call of list) if (!ids.has(call.id)) { ids.add(call.id); calls.push(call); }
  calls.sort((a, b) => a.started_us - b.started_us);
  const oldest = (Date.now() - KEEP_MS) * 1000;
  let gone = Math.max(0, calls.length - CALLS);
  while (gone < calls.length && calls[gone].started_us < oldest) gone++;
  for (const call of calls.splice(0, gone)) ids.delete(call.id);
}
const ofMethod = () => chosen ? calls.filter(c => c.method === chosen) : calls;
const lastOf = call => call.lookups.filter(l => l.critical).pop();

// --- heat map: five seconds a column, an eighth of a decade a row, from 0.1 ms to 10 s

const COLS = 60, ROWS = 40, LEFT = 52, BOTTOM = 18;
const rowOf = us => Math.max(0, Math.min(ROWS - 1, Math.floor(8 * Math.log10(Math.max(us, 1) / 100))));
let right = 0;
const colOf = us => COLS - 1 - (right - Math.floor(us / 5e6));
function drawHeat() {
  const canvas = $('heat'), scale = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
  if (!w) return;
  if (canvas.width !== Math.round(w * scale)) { canvas.width = Math.round(w * scale); canvas.height = Math.round(h * scale); }
  const g = canvas.getContext('2d'), style = getComputedStyle(document.documentElement), color = n => style.getPropertyValue(n).trim();
  const now = Math.floor(Date.now() / 5000);
  if (box && right) { box.x0 -= now - right; box.x1 -= now - right; }
  right = now;
  g.setTransform(scale, 0, 0, scale, 0, 0);
  g.clearRect(0, 0, w, h);
  const cw = (w - LEFT) / COLS, ch = (h - BOTTOM) / ROWS, cells = new Map(), list = ofMethod();
  for (const c of list) {
    const x = colOf(c.started_us);
    if (x < 0) continue;
    const key = x * ROWS + rowOf(c.took_us);
    cells.set(key, (cells.get(key) || 0) + 1);
  }
  const most = Math.log1p(Math.max(1, ...cells.values()));
  for (const [key, n] of cells) {
    const x = Math.floor(key / ROWS), y = key % ROWS;
    g.fillStyle = 'rgba(' + color('--heat') + ',' + (0.18 + 0.82 * Math.log1p(n) / most).toFixed(2) + ')';
    g.fillRect(LEFT + x * cw, h - BOTTOM - (y + 1) * ch, cw - 0.5, ch - 0.5);
  }
  g.fillStyle = color('--dim'); g.strokeStyle = color('--line');
  g.font = '11px system-ui, sans-serif'; g.textAlign = 'right';
  ['0.1 ms', '1 ms', '10 ms', '100 ms', '1 s', '10 s'].forEach((label, i) => {
    const y = h - BOTTOM - i * 8 * ch;
    g.beginPath(); g.moveTo(LEFT, Math.round(y) + .5); g.lineTo(w, Math.round(y) + .5); g.stroke();
    g.fillText(label, LEFT - 6, Math.min(h - BOTTOM, Math.max(10, y + 4)));
  });
  ['5 min', '4', '3', '2', '1', 'now'].forEach((label, i) => {
    g.textAlign = i === 0 ? 'left' : i === 5 ? 'right' : 'center';
    g.fillText(label, LEFT + i * 12 * cw, h - 4);
  });
  if (box && box.x1 >= 0) {
    const x = LEFT + Math.max(0, box.x0) * cw, y = h - BOTTOM - (box.y1 + 1) * ch;
    g.strokeStyle = color('--fg'); g.lineWidth = 1.5;
    g.strokeRect(x, y, LEFT + (box.x1 + 1) * cw - x, (box.y1 - box.y0 + 1) * ch);
    g.lineWidth = 1;
  }
  put($('latency-of'), list.length + ' sampled calls' + (chosen ? ' of ' + chosen : ''));
}
function cellAt(event) {
  const r = $('heat').getBoundingClientRect();
  const x = Math.floor((event.clientX - r.left - LEFT) / ((r.width - LEFT) / COLS));
  const y = Math.floor((r.height - BOTTOM - (event.clientY - r.top)) / ((r.height - BOTTOM) / ROWS));
  return [Math.max(0, Math.min(COLS - 1, x)), Math.max(0, Math.min(ROWS - 1, y))];
}
let start = null;
function drag(event) {
  const [x, y] = cellAt(event);
  box = { x0: Math.min(x, start[0]), x1: Math.max(x, start[0]), y0: Math.min(y, start[1]), y1: Math.max(y, start[1]) };
  drawHeat();
}
$('heat').onpointerdown = event => { start = cellAt(event); $('heat').setPointerCapture(event.pointerId); drag(event); };
$('heat').onpointermove = event => { if (start) drag(event); };
$('heat').onpointerup = () => { start = null; differ(); };
$('heat').onkeydown = event => {
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
  if (event.key === 'Escape') box = null;
  else if (!step) return;
  else {
    box = box || { x0: 30, x1: 59, y0: 20, y1: 39 };
    box.x1 = Math.min(COLS - 1, Math.max(box.x0, box.x1 + step[0])); box.y1 = Math.min(ROWS - 1, Math.max(box.y0, box.y1 + step[1]));
    if (!event.shiftKey) { box.x0 = Math.max(0, Math.min(box.x1, box.x0 + step[0])); box.y0 = Math.max(0, Math.min(box.y1, box.y0 + step[1])); }
  }
  event.preventDefault();
  drawHeat(); differ();
};
$('slow').onclick = () => {
  const list = ofMethod().map(c => c.took_us).sort((a, b) => a - b);
  if (!list.length) return;
  box = { x0: 0, x1: COLS - 1, y0: rowOf(list[Math.floor(list.length * .95)]), y1: ROWS - 1 };
  drawHeat(); differ();
};
$('clear').onclick = () => { box = null; drawHeat(); differ(); };

// --- what differs: the share of selected calls with a property against that of all other calls

/** What may differ. The first names the narrowest cause; of equal differences it is shown first. */
function properties(call) {
  const found = new Set();
  for (const l of call.lookups) {
    if (l.critical && l.endpoint) found.add('endpoint ' + l.endpoint + ' of ' + l.backend);
    if (l.critical) found.add(l.name + ' on the critical path');
    if (l.fate !== 'ok') found.add(l.name + ': ' + l.fate + (l.code ? ' (' + l.code + ')' : ''));
    if (l.source !== 'none' && l.source !== 'default') found.add(l.name + ' from ' + l.source);
  }
  found.add('caller ' + call.caller);
  if (call.outcome !== 'ok') found.add('outcome ' + call.outcome);
  if (!chosen) found.add('method ' + call.method);
  return found;
}
function differ() {
  const list = $('differs');
  list.replaceChildren();
  $('clear').disabled = !box;
  if (!box) return put($('differs-note'), 'select calls in the heat map: the bars compare them with all others');
  const inside = [], outside = [];
  for (const c of ofMethod()) {
    const x = colOf(c.started_us), y = rowOf(c.took_us);
    if (x < 0) continue;
    (x >= box.x0 && x <= box.x1 && y >= box.y0 && y <= box.y1 ? inside : outside).push(c);
  }
  put($('differs-note'), inside.length + ' selected calls (upper bars) against ' + outside.length + ' others');
  if (!inside.length || !outside.length) return;
  const shares = new Map();
  [inside, outside].forEach((side, at) => side.forEach(call => properties(call).forEach(p => {
    if (!shares.has(p)) shares.set(p, [0, 0]);
    shares.get(p)[at] += 1 / side.length;
  })));
  const ranked = [...shares].filter(([, s]) => Math.abs(s[0] - s[1]) > .02);
  ranked.sort((a, b) => {
    const by = Math.abs(b[1][0] - b[1][1]) - Math.abs(a[1][0] - a[1][1]);
    return Math.abs(by) > .01 ? by : b[0].startsWith('endpoint') - a[0].startsWith('endpoint');
  });
  if (!ranked.length) list.append(el('li', 'nothing differs'));
  for (const [name, s] of ranked.slice(0, 12)) {
    const li = el('li'), bars = el('span', undefined, { class: 'bars', 'aria-hidden': 'true' });
    s.forEach(share => { const bar = el('i'); bar.style.width = 100 * share + '%'; bars.append(bar); });
    li.append(el('b', name), bars, el('span', per(s[0], 1) + ' / ' + per(s[1], 1), { class: 'n' }));
    list.append(li);
  }
}

// --- plan and gains

function drawPlan() {
  const of = gains.find(g => g.method === chosen) || (chosen ? null : [...gains].sort((a, b) => b.calls - a.calls)[0]);
  const body = $('gains').tBodies[0];
  body.replaceChildren(); $('graph').replaceChildren();
  if (!of) return put($('plan-of'), chosen ? 'no sampled calls of ' + chosen + ' in the last minutes' : 'no sampled calls yet');
  put($('plan-of'), of.method + ': ' + of.calls + ' sampled calls of the last 5 to 10 minutes, ' + ms(of.mean_us) + ' on average');
  for (const l of [...of.lookups].sort((a, b) => b.gain_us - a.gain_us || b.decided - a.decided)) {
    const row = newRow(l.name + ' (' + l.backend + ')', 3, [0, 1, 2]);
    put(row.children[1], per(l.decided, of.calls)); put(row.children[2], ms(l.run_us));
    put(row.children[3], l.gain_us ? '−' + ms(l.gain_us) : 'nothing');
    body.append(row);
  }
  drawGraph(of);
}
function drawGraph(of) {
  const call = [...calls].reverse().find(c => c.method === of.method && c.lookups.length), graph = $('graph');
  if (!call) return;
  const depth = [], rows = [], at = [];
  call.lookups.forEach((l, i) => {
    depth[i] = Math.max(0, ...l.after.map(need => depth[need] + 1));
    rows[depth[i]] = (rows[depth[i]] || 0) + 1;
    at[i] = rows[depth[i]] - 1;
  });
  const W = 196, H = 40, GAP = 48, x = i => 6 + depth[i] * (W + GAP), y = i => 6 + at[i] * (H + 8);
  const width = 12 + rows.length * (W + GAP) - GAP, height = 12 + Math.max(...rows) * (H + 8);
  graph.setAttribute('viewBox', '0 0 ' + width + ' ' + height);
  graph.setAttribute('width', width); graph.setAttribute('height', height);
  const now = calls.filter(c => c.method === of.method && c.started_us > (Date.now() - 60_000) * 1000);
  const seen = call.lookups.map(l => now.map(c => c.lookups.find(o => o.name === l.name)).filter(o => o));
  const fails = seen.map(all => all.filter(o => o.code).length / Math.max(1, all.length));
  const p50 = seen.map(all => middle(all.filter(o => o.started_us !== null).map(o => o.done_us - o.started_us)));
  call.lookups.forEach((l, i) => l.after.forEach(need => {
    const a = x(need) + W, b = y(need) + H / 2, c = x(i), d = y(i) + H / 2;
    graph.append(svg('path', { class: fails[need] > .01 ? 'broken' : '', d: 'M' + a + ',' + b + 'C' + (a + GAP / 2) + ',' + b + ' ' + (c - GAP / 2) + ',' + d + ' ' + c + ',' + d }));
  }));
  call.lookups.forEach((l, i) => {
    const g = of.lookups.find(g => g.name === l.name) || { decided: 0, run_us: 0 };
    graph.append(svg('rect', { class: fails[i] > .01 ? 'broken' : '', x: x(i), y: y(i), width: W, height: H, rx: 4 }));
    graph.append(svg('rect', { class: 'share', x: x(i), y: y(i), width: W * g.decided / of.calls, height: H, rx: 4 }));
    graph.append(svg('text', { x: x(i) + 8, y: y(i) + 16 }, l.name.length > 24 ? l.name.slice(0, 23) + '…' : l.name));
    graph.append(svg('text', { class: 'dim', x: x(i) + 8, y: y(i) + 32 }, ms(p50[i] === null ? g.run_us : p50[i]) + ', decides ' + per(g.decided, of.calls) + (fails[i] > .01 ? ', fails ' + per(fails[i], 1) : '')));
  });
}

// --- one call

function show(call) {
  shown = call;
  put($('call-of'), call.method + ', ' + call.outcome + ', ' + ms(call.took_us) + ', ' + call.caller + ', ' + new Date(call.started_us / 1000).toLocaleTimeString() + (call.request_id ? ', request ' + call.request_id : ''));
  $('exports').hidden = !call.id;
  if (call.id) for (const format of ['json', 'otlp', 'perfetto']) $(format).href = '/calls/' + encodeURIComponent(call.id) + (format === 'json' ? '' : '?format=' + format);
  waterfall($('waterfall'), call, $('critical').checked);
}
/** Draws a call, a row per lookup; `most` is what the whole width stands for. */
function waterfall(fall, call, critical, most = Math.max(call.took_us, call.serial_us, 1)) {
  fall.replaceChildren();
  const bar = (track, kind, from, to) => {
    if (!(to > from)) return;
    const i = el('i', '', { class: kind });
    i.style.left = 100 * from / most + '%'; i.style.width = 100 * (to - from) / most + '%';
    track.append(i);
  };
  const row = (name, about, paint) => {
    const line = el('div', undefined, { class: 'row', role: 'listitem' }), track = el('span', undefined, { class: 'track', 'aria-hidden': 'true' });
    paint(track);
    line.append(el('span', name, { title: name }), track, el('span', about, { title: about }));
    fall.append(line);
  };
  for (const l of call.lookups) {
    if (critical && !l.critical) continue;
    const about = [(l.started_us === null ? '' : ms(l.done_us - l.started_us) + ' ') + l.fate + (l.source === 'none' || l.source === 'backend' ? '' : ' ' + l.source)];
    if (l.mates) about.push('with ' + l.mates + (l.mates > 1 ? ' others' : ' other'));
    if (l.age_us) about.push(ago(l.age_us / 1e6));
    if (l.attempts > (l.hedged_us ? 2 : 1)) about.push(l.attempts + ' endpoints asked');
    if (l.answered_by) about.push('by ' + l.answered_by + ' after ' + l.first_code);
    if (l.critical) about.push('critical');
    if (l.code) about.push(l.code);
    // An endpoint that was asked later has a row of its own: the lookup's bar begins at another one.
    const second = l.hedged_us && l.source === 'hedged';
    const first = l.first_answer_us === null ? l.done_us : Math.max(l.first_answer_us, l.started_us);
    row(l.name + ' (' + (!second && l.endpoint || l.backend) + ')', about.join(', '), track => {
      if (l.started_us === null) return;
      bar(track, 'wait', l.planned_us, l.started_us);
      bar(track, 'ask', l.started_us, first); bar(track, 'read', first, l.done_us);
      bar(track, 'slack', l.done_us, l.done_us + l.slack_us);
      if (l.critical) bar(track, 'crit', l.started_us, l.done_us);
    });
    if (l.hedged_us) row('↳ ' + (second && l.endpoint || 'second endpoint'), 'after ' + ms(l.hedged_us - l.started_us) + (second ? ', answered' : ', not first'), track => {
      const byte = second ? Math.max(first, l.hedged_us) : l.done_us;
      bar(track, 'ask', l.hedged_us, byte); bar(track, 'read', byte, l.done_us);
    });
  }
  const last = Math.max(0, ...call.lookups.map(l => l.done_us));
  row('merge and reply', ms(call.took_us - last), track => bar(track, 'read', last, call.took_us));
  if (call.mode !== 'SERIAL') row('one at a time', ms(call.serial_us), track => bar(track, 'ghost', 0, call.serial_us));
}
$('critical').onchange = () => shown && show(shown);

// --- try it: a form made from the IDL

let form = null, tries = 0;
async function answerOf(path, options) {
  const answer = await fetch(path, options);
  const text = await answer.text();
  if (!answer.ok) throw new Error(text.trim() || 'status ' + answer.status);
  return JSON.parse(text);
}
/** Shows the form of a method, with these values in it. */
async function loadForm(name, values = {}) {
  const mine = ++tries;
  form = null;
  $('try-fields').replaceChildren(); $('try-out').hidden = true; $('try-send').disabled = true;
  $('try-method').value = name;
  if (!name) return put($('try-of'), 'choose a method');
  try {
    const of = await answerOf('/try?method=' + encodeURIComponent(name));
    if (mine !== tries) return;
    form = of;
    put($('try-of'), 'returns ' + of.result + (of.oneway ? ', oneway' : '') + (of.throws.length ? ', throws ' + of.throws.join(', ') : '') + ', deadline ' + ms(1000 * of.deadline_ms) + (of.doc ? '. ' + of.doc : ''));
    $('try-fields').append(...of.params.map((p, i) => fieldOf(p, i, values[p.name])));
    $('try-token').hidden = !of.restricted;
    $('try-send').disabled = false;
  } catch (err) { if (mine === tries) put($('try-of'), err.message); }
}
function fieldOf(p, at, value) {
  const id = 'param-' + at, box = el('div', undefined, { class: 'field' }), label = el('label', p.name, { for: id });
  const example = p.kind === 'text' ? p.example : JSON.stringify(p.example);
  let input;
  if (p.kind === 'enum' || p.kind === 'bool') {
    input = el('select');
    input.append(el('option', 'not sent', { value: '' }), ...(p.kind === 'bool' ? ['true', 'false'] : p.values).map(v => el('option', v, { value: v })));
  } else if (p.kind === 'json') {
    input = el('textarea', '', { rows: 3, spellcheck: 'false', placeholder: example });
  } else input = el('input', undefined, { placeholder: p.secret ? '' : example, autocomplete: p.secret ? 'new-password' : 'off', spellcheck: 'false', type: p.secret ? 'password' : 'text', inputmode: p.kind === 'integer' ? 'numeric' : p.kind === 'number' ? 'decimal' : 'text' });
  const start = value !== undefined ? value : p.default !== null ? (p.kind === 'text' || p.kind === 'enum' ? '' + p.default : JSON.stringify(p.default)) : p.required && p.kind === 'json' ? JSON.stringify(p.example, null, 1) : '';
  input.id = id; input.name = p.name; input.value = start;
  const about = el('span', p.type + (p.required ? ', required' : '') + (p.doc ? ': ' + p.doc : ''), { class: 'note', id: id + '-about' });
  input.setAttribute('aria-describedby', id + '-about');
  if (p.required) input.setAttribute('aria-required', 'true');
  box.append(label, input, about);
  return box;
}
/** The parameters as the text of JSON, in which whole numbers keep all their digits. */
function paramsText() {
  const parts = [];
  form.params.forEach((p, i) => {
    const input = $('try-fields').children[i].children[1], text = p.kind === 'text' ? input.value : input.value.trim();
    input.removeAttribute('aria-invalid');
    if (text === '' && !(p.kind === 'text' && p.required)) return;
    const [fits, wanted] = { integer: [/^-?\d+$/, 'not a whole number'], number: [/^-?\d+(\.\d+)?([eE][-+]?\d+)?$/, 'not a number'] }[p.kind] || [];
    try {
      if (fits && !fits.test(text)) throw new Error(wanted);
      if (p.kind === 'json') JSON.parse(text);
    } catch (err) {
      input.setAttribute('aria-invalid', 'true'); input.focus();
      throw new Error(p.name + ' (' + p.type + '): ' + err.message);
    }
    parts.push(JSON.stringify(p.name) + ':' + (p.kind === 'text' || p.kind === 'enum' ? JSON.stringify(text) : text));
  });
  return '{' + parts.join(',') + '}';
}
async function send() {
  if (!form) return;
  const of = form, mode = $('try-mode').value, made = [];
  $('try-out').hidden = false; $('try-send').disabled = true;
  $('try-lines').replaceChildren(); $('try-falls').replaceChildren();
  verdict('', 'calling');
  try {
    const params = paramsText(), deadline = $('try-deadline').value.trim(), token = $('try-token-value').value;
    remember();
    for (const how of mode === 'BOTH' ? ['EVENTED', 'SERIAL'] : [mode]) {
      const body = '{"method":' + JSON.stringify(of.method) + ',"mode":"' + how + '"' + (deadline ? ',"deadline_ms":' + (/^\d+$/.test(deadline) ? deadline : '""') : '') + (token ? ',"token":' + JSON.stringify(token) : '') + ',"params":' + params + '}';
      made.push(await answerOf('/try', { method: 'POST', headers: { 'content-type': 'application/json' }, body }));
    }
    if (of === form) showTried(made);
  } catch (err) { verdict('bad', err.message); }
  $('try-send').disabled = !form;
}
function verdict(kind, words) { $('try-verdict').className = kind; put($('try-verdict'), words); }
function showTried(made) {
  const first = made[0], call = first.call;
  verdict(first.outcome === 'returned' || first.outcome === 'sent' ? call.outcome === 'partial' ? 'partly' : 'good' : 'bad',
    first.outcome + (first.type ? ' ' + first.type : '') + (call.outcome === 'partial' ? ', partial' : '') + ' in ' + ms(call.took_us) + (first.message ? ': ' + first.message : first.code ? ': ' + first.code : ''));
  for (const [depth, text, type] of first.lines || []) {
    const line = el('span', undefined, { class: 'line' });
    line.append('  '.repeat(depth) + text, el('i', type));
    $('try-lines').append(line, '\n');
  }
  $('try-lines').hidden = !(first.lines || []).length;
  const drawn = made.filter(m => m.call.lookups), most = Math.max(1, ...drawn.map(m => Math.max(m.call.took_us, m.call.serial_us)));
  for (const { call } of drawn) {
    const fall = el('div', undefined, { role: 'list' });
    waterfall(fall, call, false, most);
    $('try-falls').append(el('h3', (call.mode === 'SERIAL' ? 'one lookup at a time: ' : 'all at once: ') + ms(call.took_us)), fall);
  }
}
/** Puts what is in the form into the address, but never a token, nor what has the name of a secret. */
function remember() {
  const state = new URLSearchParams({ try: form.method, mode: $('try-mode').value });
  form.params.forEach((p, i) => { const v = $('try-fields').children[i].children[1].value; if (v && !p.secret) state.append('p.' + p.name, v); });
  history.replaceState(null, '', '#' + state);
}
$('try-method').onchange = event => loadForm(event.target.value);
$('try-form').onsubmit = event => { event.preventDefault(); send(); };

// --- tap

function drawTap() {
  const outcome = $('tap-outcome').value.trim(), caller = $('tap-caller').value.trim(), slower = 1000 * parseFloat($('tap-slower').value || '0') || 0;
  const list = ofMethod().filter(c => (!outcome || c.outcome.includes(outcome) || (outcome === 'failed' && !['ok', 'partial', 'hung_up'].includes(c.outcome))) && (!caller || c.caller.includes(caller)) && c.took_us >= slower);
  const body = $('tap-table').tBodies[0], last = list.slice(-TAP).reverse(), have = new Map([...body.children].map(tr => [tr.dataset.id, tr]));
  last.forEach((call, i) => {
    let tr = have.get(call.id);
    have.delete(call.id);
    if (!tr) {
      tr = el('tr', undefined, { 'data-id': call.id });
      const time = el('td'), button = el('button', new Date(call.started_us / 1000).toLocaleTimeString(), { 'aria-label': 'show the call of ' + call.method });
      button.onclick = () => { show(call); $('call').scrollIntoView({ block: 'nearest' }); };
      time.append(button);
      const decider = lastOf(call);
      tr.append(time, el('td', call.method), el('td', call.outcome, call.outcome === 'ok' ? {} : { class: 'bad' }), el('td', ms(call.took_us), { class: 'n' }), el('td', decider ? decider.name : '–'), el('td', call.caller));
    }
    if (body.children[i] !== tr) body.insertBefore(tr, body.children[i] || null);
  });
  for (const tr of have.values()) tr.remove();
  if (!shown && last.length) show(last.reduce((a, b) => a.took_us >= b.took_us ? a : b));
}
$('pause').onclick = () => {
  paused = !paused;
  $('pause').setAttribute('aria-pressed', paused);
  if (!paused) drawTap();
};
$('tap').onmouseenter = () => { hovered = true; };
$('tap').onmouseleave = () => { hovered = false; };
for (const id of ['tap-outcome', 'tap-caller', 'tap-slower']) $(id).oninput = drawTap;
$('method').onchange = event => choose(event.target.value);
for (const button of document.querySelectorAll('[data-sort]')) button.onclick = () => {
  sort = { by: button.dataset.sort, up: sort.by === button.dataset.sort ? !sort.up : button.dataset.sort === 'name' };
  for (const other of document.querySelectorAll('[data-sort]')) other.parentNode.setAttribute('aria-sort', other !== button ? 'none' : sort.up ? 'ascending' : 'descending');
  sortMethods();
};
window.onresize = drawHeat;
differ(); drawHeat(); listen();
{
  const state = new URLSearchParams(location.hash.slice(1)), name = state.get('try');
  if (name) {
    const values = {};
    for (const [key, value] of state) if (key.startsWith('p.')) values[key.slice(2)] = value;
    if (state.get('mode')) $('try-mode').value = state.get('mode');
    $('try-method').append(el('option', name, { value: name }));
    loadForm(name, values);
  }
}
fetch('/calls?limit=600').then(answer => answer.json()).then(answer => { add(answer.calls); drawHeat(); drawTap(); drawPlan(); }).catch(() => {});
