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
// Needs Node 16 or later.
'use strict';

const fs = require('fs');
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

module.exports = { serve, Permanent, RetryAfter, PROTOCOL };
