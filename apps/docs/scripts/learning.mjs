#!/usr/bin/env node
// Makes a file of results of what trainings left in their folders: `learning.mjs OUT NAME=FOLDER…`, where each folder
// is the --out of a `mamba-train` that ended. Losses are means over the steps since the point before.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';

const [out, ...runs] = process.argv.slice(2);
if (out === undefined || runs.length === 0 || runs.some((run) => !/^.+=.+$/.test(run))) {
  console.error('usage: learning.mjs OUT.json NAME=FOLDER…');
  process.exit(2);
}
const json = (path) => JSON.parse(readFileSync(path, 'utf8'));
const machine = { cpu: cpus()[0].model, cores: cpus().length };
const learnt = runs.map((run) => learningOf(...run.split(/=(.*)/s)));
const report = { kind: 'mamba-learning', date: new Date().toISOString(), node: process.version, machine, runs: learnt };
writeFileSync(out, `${JSON.stringify(report, null, 1)}\n`);

function learningOf(name, folder) {
  const save = readdirSync(folder)
    .filter((entry) => entry.startsWith('step-'))
    .toSorted()
    .at(-1);
  const { options } = json(join(folder, save, 'training.json'));
  const lines = readFileSync(join(folder, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const steps = lines.filter(({ loss }) => loss !== undefined);
  const last = steps.at(-1);
  return {
    name,
    options,
    // The speed is the mean since the beginning of the run.
    seconds: last.tokens / last.tokensPerSecond,
    losses: pointsUpTo(last.step).map((step, index, points) => {
      const part = steps.slice(points[index - 1] ?? 0, step);
      return { step, loss: part.reduce((sum, { loss }) => sum + loss, 0) / part.length };
    }),
    tests: lines.filter(({ accuracy }) => accuracy !== undefined),
  };
}

/** Powers of two from 16 on, for an axis of powers, and the last step. */
function pointsUpTo(last) {
  const points = [];
  for (let step = 16; step < last; step *= 2) points.push(step);
  return [...points, last];
}
