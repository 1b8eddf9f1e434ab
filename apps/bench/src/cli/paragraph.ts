/** The close of the default job: a small trained checkpoint writes on the fastest backend. */
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadModel } from '@mamba/lm';
import type { FoundBackend } from '../machine/backends.ts';
import { digits } from '../report/format.ts';
import type { Look } from '../report/table.ts';
import { WordWrap } from '../report/word-wrap.ts';
import type { Generation, Report } from '../schema/report.ts';
import type { Terminal } from './terminal.ts';

const CHECKPOINT = 'kjv-mamba';
const PROMPT = 'And it came to pass in those days, that';
const TOKENS = 120;

/** Streams a paragraph to `stdout` and says how fast; undefined where no backend is fit for it. */
export async function writeParagraph(
  report: Report,
  backends: readonly FoundBackend[],
  stdout: Terminal['stdout'],
  { style, width }: Look,
): Promise<Generation | undefined> {
  const fastest = fastestBackend(report);
  const provider = backends.find(({ known }) => known.name === fastest)?.provider;
  if (fastest === undefined || provider === undefined) return undefined;
  const folder = join(dirname(fileURLToPath(import.meta.resolve('@mamba/conformance/package.json'))), 'fixtures');
  const backend = await provider.create();
  try {
    const language = await loadModel(backend, join(folder, CHECKPOINT));
    const about = `trained on the King James text, on ${fastest}`;
    stdout.write(`\n${style.bold(CHECKPOINT)}  ${style.dim(about)}\n\n  ${style.cyan(PROMPT)}`);
    const wrapped = new WordWrap({ width: Math.min(width, 80) - 4, indent: '  ', column: PROMPT.length });
    let text = '';
    let tokens = 0;
    const start = performance.now();
    for await (const piece of language.generate({
      prompt: PROMPT,
      temperature: 0.7,
      minP: 0.05,
      seed: 2752,
      maxTokens: TOKENS,
    })) {
      if (piece.id !== undefined) tokens++;
      text += piece.text;
      stdout.write(wrapped.push(piece.text));
    }
    const seconds = (performance.now() - start) / 1000;
    stdout.write(`${wrapped.end()}\n\n`);
    language.dispose();
    if (tokens === 0) return undefined;
    const speed = style.bold(`${digits(tokens / seconds)} tokens/s`);
    stdout.write(`  ${speed} ${style.dim(`(${tokens} tokens in ${digits(seconds)} s, prompt included)`)}\n`);
    return { checkpoint: CHECKPOINT, backend: fastest, prompt: PROMPT, text, tokens, seconds };
  } finally {
    await backend.dispose();
  }
}

/**
 * Fastest at what was measured: of the backends without a failure, the one whose decode is fastest, or where that was not measured,
 * whose first result is. Slow ones only where there is nothing else.
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
