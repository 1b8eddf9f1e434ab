/**
 * Ends the default job: a small trained checkpoint writes a paragraph on the fastest backend, in a process of its own.
 */
import { dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { MambaError } from '@mamba/core';
import type { FoundBackend } from '../machine/backends.ts';
import { digits } from '../report/format.ts';
import type { Look } from '../report/table.ts';
import { WordWrap } from '../report/word-wrap.ts';
import { runEntry } from '../runner/entry.ts';
import type { Generation, Report } from '../schema/report.ts';
import type { Terminal } from './terminal.ts';
import type { WriteRequest, Written } from './writer-node.ts';

const CHECKPOINT = 'kjv-mamba';
const PROMPT = 'And it came to pass in those days, that';
const TOKENS = 120;

/**
 * Streams a paragraph to `stdout` with its speed; gives undefined where no backend is fit for it.
 * @throws MambaError `unavailable` with the last words of the process that was to write.
 */
export async function writeParagraph(
  report: Report,
  backends: readonly FoundBackend[],
  stdout: Terminal['stdout'],
  { style, width }: Look,
): Promise<Generation | undefined> {
  const fastest = fastestBackend(report);
  const found = backends.find(({ record }) => record.name === fastest);
  if (fastest === undefined || found === undefined || found.execPath === null) return undefined;
  const folder = join(dirname(fileURLToPath(import.meta.resolve('@mamba/conformance/package.json'))), 'fixtures');
  const about = `trained on the King James text, on ${fastest}`;
  const wrapped = new WordWrap({ width: Math.min(width, 80) - 4, indent: '  ', column: PROMPT.length });
  let text = '';
  let tokens = 0;
  let start = 0;
  const failure = await write(found, join(folder, CHECKPOINT), (written) => {
    if ('start' in written) {
      stdout.write(`\n${style.bold(CHECKPOINT)}  ${style.dim(about)}\n\n  ${style.cyan(PROMPT)}`);
      start = performance.now();
      return;
    }
    if (written.token) tokens++;
    text += written.text;
    stdout.write(wrapped.push(written.text));
  });
  const seconds = (performance.now() - start) / 1000;
  if (start !== 0) stdout.write(`${wrapped.end()}\n\n`);
  if (failure !== undefined) throw new MambaError('unavailable', `${fastest} did not write its paragraph: ${failure}`);
  if (tokens === 0) return undefined;
  const speed = style.bold(`${digits(tokens / seconds)} tokens/s`);
  stdout.write(`  ${speed} ${style.dim(`(${tokens} tokens in ${digits(seconds)} s, prompt included)`)}\n`);
  return { checkpoint: CHECKPOINT, backend: fastest, prompt: PROMPT, text, tokens, seconds };
}

/** Writes on a backend in a process of its own; gives the failure in words, if there is one. */
function write(
  { known, options = [], execPath }: FoundBackend,
  checkpoint: string,
  hear: (written: Written) => void,
): Promise<string | undefined> {
  const generate = { prompt: PROMPT, temperature: 0.7, minP: 0.05, seed: 2752, maxTokens: TOKENS };
  const request: WriteRequest = { backend: known.name, options, checkpoint, generate };
  return runEntry(['cli', 'writer-node.js'], request, hear, execPath ?? process.execPath);
}

/**
 * The backend without a failure whose decode is fastest or, where that was not measured, whose first result is. Slow
 * backends count only where there are no others.
 */
export function fastestBackend({ results, backends }: Pick<Report, 'results' | 'backends'>): string | undefined {
  const ready = backends.filter(({ status }) => status === 'ready');
  const sound = ready.filter(({ name }) =>
    results.every(({ backend, status }) => backend !== name || (status !== 'failed' && status !== 'disagrees')),
  );
  const fast = sound.filter(({ slow }) => slow === undefined);
  const speeds = (fast.length > 0 ? fast : sound).map(({ name }) => {
    const own = results.filter(({ backend, rate }) => backend === name && rate !== undefined);
    const decode = own.find(({ case: id }) => id.startsWith('model/decode-')) ?? own[0];
    return { name, speed: decode?.rate?.perSecond ?? 0 };
  });
  return speeds.sort((a, b) => b.speed - a.speed)[0]?.name;
}
