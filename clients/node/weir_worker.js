// A worker for Weir's exec stage, in one file and without dependencies.
//
//   const { serve, Permanent, RetryAfter } = require('./weir_worker.js');
//
//   serve(async (item, emit) => {
//     if (!item.url) throw new Permanent('the item has no url');
//     emit('texts', { url: item.url, length: item.html.length });
//   });
//
// Weir starts the program, sends it items and reads its replies; docs/exec.md
// of the Weir repository describes how. console.log is safe: standard output
// belongs to the protocol, so it is redirected to standard error, which Weir
// logs.
//
// work(url, queue, handle) does the same for a queue of a store that `weir serve`
// offers, over the network: docs/protocol.md describes it. The token is that of
// the variable WEIR_TOKEN, or of a file.
//
// Needs Node 16 or later.
'use strict';

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const https = require('https');
const readline = require('readline');

const PROTOCOL = 1;

/** The item cannot succeed, however often it is tried. reason is a short machine-readable word. */
class Permanent extends Error {
  constructor(message, reason = '') {
    super(message);
    this.reason = reason;
  }
}

/** The item should be tried again, but not before so many seconds. */
class RetryAfter extends Error {
  constructor(seconds, message = 'try again later', reason = '') {
    super(message);
    this.seconds = seconds;
    this.reason = reason;
  }
}

/**
 * Answers items until Weir closes standard input. handle(item, emit) is called
 * for each item, in order, and may be async. emit(edge, value) sends a value to
 * the edge of that name; what was emitted counts only if handle succeeds. Any
 * error but Permanent and RetryAfter may pass.
 */
async function serve(handle, name = 'node') {
  // Keep the protocol's stream for ourselves; give everyone else stderr.
  process.stdout.write = process.stderr.write.bind(process.stderr);
  const lines = readline.createInterface({ input: process.stdin, crlfDelay: Infinity });
  let greeted = false;
  for await (const line of lines) {
    const message = JSON.parse(line);
    if (!greeted) {
      if (message.weir !== PROTOCOL) throw new Error('weir_worker: unknown protocol: ' + line.slice(0, 200));
      say({ weir: PROTOCOL, name });
      greeted = true;
      continue;
    }
    for (const { id, item } of message.items) {
      say(await answer(handle, id, item));
    }
  }
}

// say writes a line, all of it: a pipe may take it in parts.
function say(value) {
  let rest = Buffer.from(JSON.stringify(value) + '\n');
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (err) {
      if (err.code !== 'EAGAIN') throw err;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    }
  }
}

async function answer(handle, id, item) {
  const emitted = Object.create(null);
  const emit = (edge, value) => {
    const text = JSON.stringify(value); // here, where its error has a place
    if (text === undefined) throw new Permanent(`what was emitted to ${edge} is not JSON`);
    (emitted[edge] = emitted[edge] || []).push(JSON.parse(text));
  };
  try {
    await handle(item, emit);
  } catch (err) {
    const error = String((err && err.message) || err) || 'failed';
    if (err instanceof Permanent) return { id, error, permanent: true, reason: err.reason };
    if (err instanceof RetryAfter) return { id, error, retry_after: err.seconds, reason: err.reason };
    console.error(err);
    return { id, error };
  }
  return { id, ok: true, emit: emitted };
}

/** A server has refused a call. code is one of docs/protocol.md. */
class Refused extends Error {
  constructor(call, code, message) {
    super(`${call}: ${code}: ${message}`);
    this.code = code;
  }
}

// What these say may pass, here or at another address.
const LATER = ['unavailable', 'busy', 'fenced', 'failed', 'closed'];
// The server has given back what the client held.
const LOST = ['lease_lost', 'unknown_client'];
// There is no room now.
const FULL = ['queue_full', 'disk_full'];
// The fault is not that of what was sent: of the token, of the server, or of what is in between.
const ELSEWHERE = ['unauthorized', 'forbidden', 'protocol', 'internal', 'corrupt'];

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const pause = () => sleep(50 + 450 * Math.random());
const newID = () => crypto.randomBytes(16).toString('hex');

// tokenOf returns the token given, or that of a file, or of the variable WEIR_TOKEN. A
// file has a token alone, or a role and a token on each line, as TOKENS of `weir serve` has.
function tokenOf({ token, tokenFile }) {
  if (token !== undefined) return token;
  if (tokenFile === undefined) return process.env.WEIR_TOKEN || '';
  const lines = fs.readFileSync(tokenFile, 'utf8').split('\n')
    .filter((line) => line.trim() && !line.startsWith('#')).map((line) => line.trim().split(/\s+/));
  for (const role of ['work', 'admin']) {
    for (const line of lines) if (line[0] === role && line.length === 2) return line[1];
  }
  if (lines.length === 0 || lines[0].length !== 1) throw new Error(`${tokenFile} has no token of the role work`);
  return lines[0][0];
}

/**
 * A store that `weir serve` offers, at a URL, or at those of a leader and its standbys,
 * separated by commas. Options: token or tokenFile; name; lease, for how many seconds the
 * server keeps what this client holds when it does not hear of it (15; a timer gives a sign
 * of life three times as often, so a handler must not block Node for longer); patience, for
 * how many seconds a call is made again while no server answers (120).
 */
class Store {
  constructor(url, options = {}) {
    const { name = 'node', lease = 15, patience = 120 } = options;
    this.bases = url.split(',').map((u) => u.trim().replace(/\/+$/, '') + '/weir/v1/');
    this.token = tokenOf(options);
    Object.assign(this, { name, lease, patience });
    this.agents = { 'http:': new http.Agent({ keepAlive: true }), 'https:': new https.Agent({ keepAlive: true }) };
  }

  /** Makes the client known, under a new id: what it held before it holds no more. */
  async open() {
    const client = newID();
    await this.call('open', { client, version: 1, name: this.name, program: 'weir_worker.js', lease_ms: Math.round(this.lease * 1000) });
    this.client = client;
    if (!this.beat) {
      // Whoever receives or commits meets an error.
      this.beat = setInterval(() => this.call('heartbeat', { client: this.client }, 0).catch(() => {}), this.lease * 1000 / 3);
    }
  }

  /** Makes a call, and again while no server answers: calls may be repeated. */
  async call(name, message, patience = this.patience) {
    const begun = Date.now();
    const body = JSON.stringify(message);
    for (;;) {
      let refused;
      try {
        const { status, text } = await this.post(this.bases[0] + name, body);
        const answer = parse(text);
        if (status === 200 && answer !== undefined) return answer;
        if (answer && answer.code) refused = new Refused(name, answer.code, answer.message);
        else refused = new Refused(name, status >= 500 || status === 429 || status === 200 ? 'unavailable' : 'protocol', `status ${status}`); // a proxy's, perhaps
      } catch (err) {
        refused = new Refused(name, 'unavailable', `${this.bases[0]}: ${err.message}`);
      }
      if (!LATER.includes(refused.code) || Date.now() - begun > patience * 1000) throw refused;
      this.bases.push(this.bases.shift());
      await pause();
    }
  }

  post(url, body) {
    return new Promise((resolve, reject) => {
      const to = new URL(url);
      const request = (to.protocol === 'https:' ? https : http).request(to, {
        method: 'POST', agent: this.agents[to.protocol], timeout: 60000,
        headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body), Authorization: `Bearer ${this.token}` },
      }, (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('end', () => resolve({ status: response.statusCode, text: Buffer.concat(parts).toString('utf8') }));
        response.on('aborted', () => reject(new Error('the answer ends early')));
        response.on('error', reject);
      });
      request.on('timeout', () => request.destroy(new Error('no answer')));
      request.on('error', reject);
      request.end(body);
    });
  }

  /** Commits changes, all or none, once. Returns the result, or throws Refused. */
  async commit(changes) {
    const transaction = { id: newID(), changes };
    if (!changes.some((c) => 'delivery' in c)) {
      // What settles nothing could happen again when its id has been forgotten.
      transaction.since = (await this.call('limits', {})).serial || 0;
    }
    const begun = Date.now();
    for (;;) {
      const { outcomes: [outcome] } = await this.call('commit', { client: this.client, transactions: [transaction] });
      if (!outcome.error) return outcome.result || {};
      const refused = new Refused('commit', outcome.error.code, outcome.error.message);
      if (!LATER.includes(refused.code) || Date.now() - begun > this.patience * 1000) throw refused;
      await pause();
    }
  }

  /** Gives back what the client holds. If no server hears it, that ends with the lease. */
  async close() {
    clearInterval(this.beat);
    await this.call('leave', { client: this.client }, 0).catch(() => {});
    for (const agent of Object.values(this.agents)) agent.destroy();
  }
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch (err) {
    return undefined;
  }
}

/**
 * Works on the JSON values of a queue until options.stop() is true. handle(item, emit) is
 * that of serve; what it emits is enqueued to the queue of the edge's name by the
 * transaction that acknowledges the item, so both happen once or not at all, whatever
 * dies. Options are those of Store, and: stop; batch, how many items are received at a
 * time (1); subscribe, further fields of that call, { affinity_us: 3000000 } say. Throws
 * Refused if the server does not want this client, or has been away for longer than the
 * patience.
 */
async function work(url, queue, handle, options = {}) {
  const { stop = () => false, batch = 1, subscribe = {} } = options;
  const store = new Store(url, options);
  await store.open();
  try {
    while (!stop()) {
      try {
        await oneSession(store, queue, handle, stop, batch, subscribe);
      } catch (err) {
        if (!LOST.includes(err.code)) throw err;
        console.error('weir_worker: begins again:', err.message);
        await store.open();
      }
    }
  } finally {
    await store.close();
  }
}

async function oneSession(store, queue, handle, stop, batch, subscribe) {
  const { client } = store;
  const session = newID();
  await store.call('subscribe', { client, session, queue, barriers: 'none', ...subscribe });
  for (let seq = 1; !stop(); seq++) {
    const got = await store.call('receive', { client, session, seq, max: batch, wait_ms: 5000 });
    for (const delivery of got.deliveries || []) await settle(store, handle, delivery);
  }
}

async function settle(store, handle, { delivery, item: { text } }) {
  const item = text === undefined ? undefined : parse(text);
  const got = item === undefined ? { error: 'the item is not JSON', permanent: true } : await answer(handle, delivery, item);
  let changes = [];
  let end = { delivery, do: 'ack' };
  if (got.ok) {
    for (const [name, values] of Object.entries(got.emit)) {
      for (const value of values) changes.push({ do: 'enqueue', name, item: { text: JSON.stringify(value) } });
    }
  } else {
    end = { delivery, do: got.permanent ? 'bury' : 'retry', error: got.error };
    if (got.retry_after !== undefined) Object.assign(end, { flag: true, wait_us: Math.round(got.retry_after * 1e6) });
  }
  for (;;) {
    try {
      await store.commit([...changes, end]);
      return;
    } catch (err) {
      if (FULL.includes(err.code)) {
        await sleep(500 + 1000 * Math.random());
        continue;
      }
      if (changes.length === 0 || !err.code || [...LOST, ...LATER, ...ELSEWHERE].includes(err.code)) throw err;
      changes = []; // what was emitted can never be stored
      end = { delivery, do: 'bury', error: err.message };
    }
  }
}

module.exports = { serve, work, Store, Permanent, RetryAfter, Refused, PROTOCOL };
