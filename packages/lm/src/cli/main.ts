/**
 * The command `mamba-lm`. Exit codes: 0 done, 1 failed (the message says why, and what to do), 2 wrong usage, 130 interrupted.
 */
import { isMambaError } from '@mamba/core';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { type GenerateFlags, generate, type ScoreFlags, score } from './commands.ts';

const aborter = new AbortController();
let outputClosed = false;

process.once('SIGINT', () => aborter.abort());
// The reader of the output may leave early, as `head` does: that ends the work, and is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  outputClosed = true;
  aborter.abort();
});

const program = new Command('mamba-lm')
  .description('Runs Mamba language models.')
  .exitOverride()
  .showHelpAfterError('(--help lists what there is)');

program
  .command('generate')
  .description('continues a prompt; text goes to stdout, statistics to stderr')
  .argument('<checkpoint>', 'folder or http(s) address with config.json and model.safetensors')
  .argument('<prompt>', 'text, or token ids with --ids')
  .option('-b, --backend <name>', 'webgpu, cpu, reference, a package or a module (default: the first that runs)')
  .option('-n, --max-tokens <count>', 'tokens to generate at most', count, 128)
  .option('-t, --temperature <number>', '0 takes the likeliest token each time', number, 0)
  .option('--top-k <count>', 'sample among the k likeliest tokens', count)
  .option('--top-p <number>', 'sample among the likeliest tokens that reach this probability', number)
  .option('--seed <integer>', 'the same seed gives the same text', integer)
  .option('--ids', 'the prompt is token ids, and so is the output')
  .action((checkpoint: string, prompt: string, flags: GenerateFlags) =>
    generate(checkpoint, prompt, flags, aborter.signal),
  );

program
  .command('score')
  .description('bits per byte and perplexity of a text file of any length')
  .argument('<checkpoint>', 'folder or http(s) address with config.json, model.safetensors and tokenizer.json')
  .argument('<file>', 'text in UTF-8')
  .option('-b, --backend <name>', 'webgpu, cpu, reference, a package or a module (default: the first that runs)')
  .option('-w, --window <tokens>', 'begin anew every so many tokens (default: one stream)', count)
  .option('--json', 'print JSON')
  .action((checkpoint: string, file: string, flags: ScoreFlags) => score(checkpoint, file, flags, aborter.signal));

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (aborter.signal.aborted) {
    if (!outputClosed) process.stderr.write('\ninterrupted\n');
    return outputClosed ? 0 : 130;
  }
  if (isMambaError(error)) process.stderr.write(`error: ${error.message}\n`);
  // Anything else is a mistake of ours: show where.
  else process.stderr.write(`unexpected error: ${error instanceof Error ? error.stack : String(error)}\n`);
  return 1;
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('Not a number.');
  return value;
}

function integer(text: string): number {
  const value = number(text);
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('Not an integer.');
  return value;
}

function count(text: string): number {
  const value = integer(text);
  if (value < 1) throw new InvalidArgumentError('Not an integer of at least 1.');
  return value;
}
