// Runs the built command many times in one process, which loads its modules once: for tests in cli.test.ts that are not
// about the process. A message holds the arguments and the input of a run, and the answer its exit code and output.
import process from 'node:process';
import { PassThrough, Writable } from 'node:stream';

let runs = 0;

process.on('message', async ({ args, input }) => {
  const stdout = collector();
  const stderr = collector();
  const stdin = new PassThrough();
  stdin.end(input);
  for (const [name, value] of Object.entries({ stdin, stdout, stderr }))
    Object.defineProperty(process, name, { value, configurable: true });
  process.argv = [process.argv[0], process.argv[1], ...args];
  process.exitCode = undefined;
  const signals = ['SIGINT', 'SIGTERM'];
  try {
    // The query has this one module evaluated again; what it imports is there.
    await import(`../dist/cli/main.js?run=${++runs}`);
  } finally {
    for (const signal of signals) process.removeAllListeners(signal);
  }
  const code = process.exitCode ?? 0;
  process.exitCode = undefined;
  process.send({ code, stdout: stdout.text(), stderr: stderr.text() });
});

function collector() {
  const chunks = [];
  const stream = new Writable({
    write(chunk, _, done) {
      chunks.push(chunk);
      done();
    },
  });
  return Object.assign(stream, { text: () => Buffer.concat(chunks).toString() });
}
