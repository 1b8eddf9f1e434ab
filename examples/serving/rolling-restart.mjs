// Closes a server while sessions are written, and lets another one go on. Prints what that took.
//   node rolling-restart.mjs redis://127.0.0.1:6379 [sessions] [checkpoint]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const [store, count = '8', checkpoint = 'packages/conformance/fixtures/kjv-mamba'] = process.argv.slice(2);
if (store === undefined) {
  console.error('usage: node rolling-restart.mjs redis://127.0.0.1:6379 [sessions] [checkpoint]');
  process.exit(2);
}
const root = fileURLToPath(new URL('../../', import.meta.url));
const TOKENS = 400;

const first = await startServer();
const second = await startServer();
try {
  const run = Date.now();
  const sessions = Array.from({ length: Number(count) }, (_, index) => ({
    id: `rolling-${run}-${index}`,
    prompt: `The ${index + 1}th chapter: And`,
  }));

  // All sessions are written at once; when each has some text, the first server is told to end.
  let begun = 0;
  let told = 0;
  const parts = Promise.all(
    sessions.map((session) =>
      stream(first, { session: session.id, prompt: session.prompt, max_tokens: TOKENS }, () => {
        begun++;
        if (begun < sessions.length) return;
        told = performance.now();
        first.child.kill('SIGTERM');
      }),
    ),
  );
  const interrupted = await parts;
  const [code] = await first.ended;
  const drainMs = performance.now() - told;

  // Each goes on where it was, and is compared with a text that nobody interrupted.
  const states = await Promise.all(sessions.map(({ id }) => get(second, `/v1/sessions/${id}`)));
  const moved = performance.now();
  let firstTokenMs = 0;
  const rests = await Promise.all(
    sessions.map(async ({ id }, index) => {
      const { text } = await stream(second, { session: id, prompt: '', max_tokens: left(index) }, () => {
        firstTokenMs = Math.max(firstTokenMs, performance.now() - moved);
      });
      return text;
    }),
  );
  const whole = await Promise.all(
    sessions.map(({ prompt }) => stream(second, { prompt, max_tokens: TOKENS }, () => {})),
  );
  const equal = sessions.filter((_, index) => interrupted[index].text + rests[index] === whole[index].text).length;

  console.log(
    JSON.stringify(
      {
        sessions: sessions.length,
        interrupted: interrupted.filter(({ error }) => error?.code === 'session_saved').length,
        equalToUninterrupted: equal,
        bytes: states.reduce((sum, { bytes }) => sum + bytes, 0),
        exitCode: code,
        millisecondsFromSignalToExit: Math.round(drainMs),
        millisecondsToFirstTokenOfLastSession: Math.round(firstTokenMs),
      },
      null,
      2,
    ),
  );
  if (equal < sessions.length || code !== 0) process.exitCode = 1;

  function left(index) {
    // The prompt of a session is read with its text, so that the count of tokens alone does not say what was written.
    return TOKENS - interrupted[index].tokens;
  }
} finally {
  for (const { child } of [first, second]) child.kill();
}

async function startServer() {
  const bin = fileURLToPath(new URL('bin/mamba-lm.js', import.meta.resolve('@mamba/lm/package.json')));
  const rows = String(Number(count));
  const flags = ['--port=0', '--backend=cpu', '--name=model', '--grace=0', `--store=${store}`, `--max-rows=${rows}`];
  const child = spawn(process.execPath, [bin, 'serve', checkpoint, ...flags], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  process.once('exit', () => child.kill());
  const ended = once(child, 'exit');
  let said = '';
  for await (const text of child.stderr) {
    said += text;
    const url = /(http:\S+)\/v1/.exec(said)?.[1];
    if (url !== undefined) return { url, child, ended };
  }
  // It ended, and has said why.
  console.error(said.trim());
  process.exit(1);
}

async function get({ url }, path) {
  return (await fetch(url + path)).json();
}

/** Reads a completion as it comes; `onFirst` is called at its first text. */
async function stream({ url }, body, onFirst) {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'model', temperature: 0, stream: true, logprobs: 0, ...body }),
  });
  let rest = '';
  const result = { text: '', tokens: 0, error: undefined };
  for await (const part of response.body.pipeThrough(new TextDecoderStream())) {
    const events = (rest + part).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      if (!event.startsWith('data: {')) continue;
      const { choices, error } = JSON.parse(event.slice('data: '.length));
      result.error = error ?? result.error;
      if (choices?.[0] === undefined) continue;
      if (result.text === '' && choices[0].text !== '') onFirst();
      result.text += choices[0].text;
      // With log-probabilities, each token has a chunk of its own.
      result.tokens += choices[0].logprobs?.tokens.length ?? 0;
    }
  }
  return result;
}
