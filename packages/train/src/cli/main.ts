/**
 * The command `mamba-train`. Exit codes: 0 for success, 1 for a failure, 2 for wrong usage, 130 if it was interrupted.
 */
import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { checkpointStore, readJson } from '@mamba/checkpoint';
import { invalid, isMambaError } from '@mamba/core';
import { messageWithHelp } from '@mamba/core/toolkit';
import { Command, CommanderError, Option as Flag } from 'commander';
import { parseConfig, resolveConfig } from './config.ts';
import { type Config, defaultOf, flagOf, optionsOf, type TaskName } from './options.ts';
import { runTraining } from './run.ts';

const FILES = 'text in UTF-8, or tokens: .bin (little-endian integers) or .safetensors';

const aborter = new AbortController();
let outputClosed = false;
let outputFailure: Error | undefined;

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => aborter.abort());
// A reader that closes the output early, as `head` does, ends the training as Ctrl-C does, without a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') outputClosed = true;
  else outputFailure ??= error;
  aborter.abort();
});
process.stderr.on('error', () => {});

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('mamba-train')
  .description('Trains Mamba models.')
  .version(version)
  .enablePositionalOptions()
  .exitOverride()
  .addHelpText(
    'after',
    `
Examples:
  mamba-train lm book.txt --out run                 a model of the bytes of a text
  mamba-train lm book.txt --out run --resume        goes on after Ctrl-C, or after a crash
  mamba-train lm book.txt --init MODEL --out tuned  fine-tunes a model
  mamba-train induction-heads --lengths 256

A training saves a folder as run/step-000500: a model that mamba-lm and transformers load, and what going on needs.
run/metrics.jsonl has a line for each step and evaluation.`,
  );

taskCommand('lm', 'a language model, of text files or of files of tokens').argument('<file...>', FILES);
taskCommand('induction-heads', "a task of Mamba's paper: what followed a token before?");
taskCommand('selective-copying', "a task of Mamba's paper: which tokens came among noise?");
program
  .command('config')
  .description('runs a training by a file of its options')
  .argument('<file>', 'JSON: {"task": "lm", "files": ["book.txt"], "dModel": 256, …}, names as those of the options')
  .option('--resume', 'go on from the last save, if there is one')
  .action(async (file: string, flags: { readonly resume?: boolean }) => {
    const json = await readJson(checkpointStore(dirname(file)), basename(file));
    if (json === undefined) throw invalid(file, 'no such file', 'a file of options');
    const config = parseConfig(file, json);
    await runTraining(flags.resume === true ? { ...config, resume: true } : config, aborter.signal);
  });

try {
  await program.parseAsync();
  // The last write may still fail.
  await new Promise<void>((resolve) => process.stdout.write('', () => resolve()));
  if (outputFailure !== undefined) throw outputFailure;
} catch (error) {
  // Lets a pending SIGINT arrive before the error is reported.
  await new Promise((resolve) => setImmediate(resolve));
  process.exitCode = report(error);
}

/** The command of a task, with the options that the task has. */
function taskCommand(task: TaskName, description: string): Command {
  const command = program.command(task).description(description);
  for (const option of optionsOf(task)) {
    const { group, key, value, help, parse } = option;
    const flag = new Flag(`${flagOf(key)}${value === undefined ? '' : ` ${value}`}`, help);
    const fallback = defaultOf(option, task);
    if (fallback !== undefined && fallback !== false) flag.default(fallback, String(fallback));
    command.addOption(flag.argParser(parse).helpGroup(group));
  }
  return command.action(async (...given: unknown[]) => {
    const files = task === 'lm' ? { files: given[0] } : {};
    const flags = given[task === 'lm' ? 1 : 0] as Readonly<Record<string, unknown>>;
    const config: Config = resolveConfig(task, { ...flags, ...files });
    await runTraining(config, aborter.signal);
  });
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (outputFailure !== undefined) {
    process.stderr.write(`error: the output cannot be written: ${outputFailure.message}\n`);
    return 1;
  }
  if (aborter.signal.aborted && isMambaError(error, 'aborted')) {
    if (!outputClosed) process.stderr.write('interrupted\n');
    return outputClosed ? 0 : 130;
  }
  if (!isMambaError(error)) {
    // Other errors are bugs: the stack shows where.
    process.stderr.write(`unexpected error: ${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
  process.stderr.write(`error: ${messageWithHelp(error)}\n`);
  return isMambaError(error, 'invalid-argument') ? 2 : 1;
}
