/**
 * The command `mamba-lm`. Exit codes: 0 for success, 1 for a failure, 2 for wrong usage, 130 if it was interrupted.
 */
import { readFileSync } from 'node:fs';
import { isMambaError } from '@mamba/core';
import { messageWithHelp } from '@mamba/core/toolkit';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { chatWith, type GenerateFlags, generate, type ScoreFlags, score, serve } from './commands.ts';
import { type ConvertFlags, convert } from './convert.ts';
import { unescapeText } from './escapes.ts';
import { byFlag, isUsageError, usageHint } from './flags.ts';
import { type InspectFlags, inspect } from './inspect.ts';
import { missingPackages } from './packages.ts';

const aborter = new AbortController();
let outputClosed = false;
let outputFailure: Error | undefined;

process.once('SIGINT', () => aborter.abort());
process.once('SIGTERM', () => aborter.abort());
// A reader that closes the output early, as `head` does, ends the command without a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') outputClosed = true;
  else outputFailure ??= error;
  aborter.abort();
});

// A closed stderr ends nothing: a server, or the writing of a file, goes on.
process.stderr.on('error', () => {});

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const program = new Command('mamba-lm')
  .description('Runs Mamba language models.')
  .version(version, '-V, --version', 'print the version')
  .exitOverride()
  .showHelpAfterError('(--help lists what there is)');

const CHECKPOINT = 'folder, .gguf file, http(s) address, or hf:owner/name[:Q8_0] of the Hugging Face hub';

modelCommand('generate', 'continues a prompt; text goes to stdout, statistics to stderr')
  .argument(
    '<prompt>',
    'text in quotes, behind -- where it begins with a dash, or token ids with --ids; - reads standard input',
  )
  .option('--ids', 'the prompt is token ids, and so is the output')
  .option('--json', 'print one JSON object a token')
  .option('--log-probs', "give each token's log-probability, with --json")
  .option('--top-log-probs <count>', 'also those of the likeliest tokens', count)
  .option('--draft <checkpoint>', 'a smaller model of the same vocabulary that guesses ahead')
  .option('--draft-tokens <count>', 'tokens that it guesses at a time', count)
  .option('--chunk <tokens>', 'tokens of the prompt that are read at once', count)
  .option('--block <tokens>', 'tokens that are sampled before one is printed', count)
  .action((checkpoint: string, prompt: string, flags: GenerateFlags) =>
    generate(checkpoint, prompt, flags, aborter.signal),
  );

modelCommand('chat', "talks, by the checkpoint's chat template, or continues what is typed where it has none")
  .option('--system <text>', 'what the conversation begins with')
  .option('--session <file>', 'go on with this conversation, if the file is there, and save it at the end')
  .action((checkpoint: string, flags: Parameters<typeof chatWith>[1]) => chatWith(checkpoint, flags, aborter.signal));

for (const name of ['generate', 'chat']) samplingOptions(program.commands.find((made) => made.name() === name)!);

modelCommand('score', 'bits per byte and perplexity of a text file of any length')
  .argument('<file>', 'text in UTF-8; - reads standard input')
  .option('-w, --window <tokens>', 'begin anew every so many tokens (default: one stream)', count)
  .option('--json', 'print JSON')
  .action((checkpoint: string, file: string, flags: ScoreFlags) => score(checkpoint, file, flags, aborter.signal));

modelCommand('serve', "answers OpenAI's clients: /v1/completions, /v1/chat/completions, /v1/models")
  .option('--host <name>', 'address to listen on', '127.0.0.1')
  .option('-p, --port <number>', 'port, 0 for any that is free', natural, 8080)
  .addOption(
    new Option('--api-key <key>', 'asked of every request (default: none)').env('MAMBA_LM_API_KEY').argParser(apiKey),
  )
  .option('--allow-host <name...>', 'further names or addresses that requests may call the server by')
  .option('--cors <origin...>', 'pages that may read answers, as https://app.example; * is any')
  .option('--name <name>', "the model's, for clients (default: that of the folder or file)")
  .option('--max-rows <count>', 'sequences that run in one batch', count, 8)
  .option('--max-waiting <count>', 'sequences that wait; beyond them clients get 429', natural, 64)
  .option('--max-tokens <count>', 'tokens that one answer may have', count, 4096)
  .option('--max-body <MiB>', 'larger requests are refused', count, 1)
  .option('--max-prompt-chars <count>', 'characters that the prompts of a request may have', count, 2 ** 19)
  .option('--max-prompt-tokens <count>', 'tokens that they may have', count, 2 ** 17)
  .option('--split-special-tokens', 'special tokens in prompts and messages are text, unless a request says otherwise')
  .option('--prefix-cache <MiB>', 'for the states of prompts that begin alike; 0 keeps none', natural, 64)
  .addOption(
    new Option(
      '--store <address>',
      'Redis or Valkey for sessions, states and limits of several servers, as redis://host (default: this process)',
    ).env('MAMBA_LM_STORE'),
  )
  .option('--session-hours <count>', 'sessions are kept this long after their last request', count, 24)
  .option('--session-mib <MiB>', 'larger sessions are refused', count, 256)
  .option('--session-lease <seconds>', 'sessions of a killed server are free for others after this time', count, 15)
  .option('--requests-per-minute <count>', 'beyond them clients get 429, all servers of the store together', count)
  .option('--tokens-per-minute <count>', 'the same for tokens, of prompts and answers', count)
  .option('--notice <seconds>', 'at the end, requests are taken so long while /ready says no', natural, 0)
  .option(
    '--grace <seconds>',
    'that running requests have at the end; then sessions are saved as they are',
    natural,
    10,
  )
  .option('--metrics', 'serve /metrics for Prometheus')
  .action((checkpoint: string, flags: Parameters<typeof serve>[1]) => serve(checkpoint, flags, aborter.signal));

program
  .command('inspect')
  .description('what a checkpoint holds: config, parameters, dtypes, tokenizer')
  .argument('<checkpoint>', CHECKPOINT)
  .option('--tensors', 'list every tensor')
  .option('--json', 'print JSON')
  .action((checkpoint: string, flags: InspectFlags) => inspect(checkpoint, flags, aborter.signal));

program
  .command('convert')
  .description('writes a checkpoint as GGUF or safetensors, and says how far its logits are from the source')
  .argument('<checkpoint>', CHECKPOINT)
  .argument('<target>', 'a .gguf file, or a folder for safetensors')
  .option('--type <type>', 'of the matrices: F32, F16, BF16; for GGUF also Q8_0, Q4_0, Q4_1, Q5_0, Q5_1', 'F32')
  .option('-b, --backend <name>', 'computes the logits (default: the first that runs)')
  .option('--check <tokens>', 'tokens to compare logits at', count, 64)
  .option('--no-check', 'compare no logits')
  .option('--no-tokenizer', 'leave the tokenizer out')
  .option('--force', 'replace what is there')
  .action((checkpoint: string, target: string, flags: ConvertFlags) =>
    convert(checkpoint, target, flags, aborter.signal),
  );

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

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    const hint = error.exitCode === 0 ? undefined : usageHint(error.code, process.argv.slice(2));
    if (hint !== undefined) process.stderr.write(`${hint}\n`);
    return error.exitCode === 0 ? 0 : 2;
  }
  if (outputFailure !== undefined) {
    process.stderr.write(`error: the output cannot be written: ${outputFailure.message}\n`);
    return 1;
  }
  if (aborter.signal.aborted) {
    if (!outputClosed) process.stderr.write('\ninterrupted\n');
    return outputClosed ? 0 : 130;
  }
  const told = byFlag(error);
  if (isMambaError(told)) process.stderr.write(`error: ${messageWithHelp(told)}\n`);
  // Other errors are bugs, and the stack shows where, but for a package that only this command needs.
  else {
    const stack = told instanceof Error ? told.stack : String(told);
    process.stderr.write(`${missingPackages(told) ?? `unexpected error: ${stack}`}\n`);
  }
  return isUsageError(told) ? 2 : 1;
}

function modelCommand(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .argument('<checkpoint>', CHECKPOINT)
    .option('-b, --backend <name>', 'webgpu, cpu, reference, a package or a module (default: the first that runs)')
    .option('--tokenizer <location>', "where the tokenizer's files are (default: the checkpoint)")
    .addOption(
      new Option(
        '--weights <dtype>',
        "dtype of the matrices on the backend; stored: as the checkpoint has them (default: the backend's precision)",
      ).choices(['stored', 'float32', 'float16', 'bfloat16', 'q8', 'q4', 'float64']),
    );
}

function samplingOptions(command: Command): void {
  command
    .option('-n, --max-tokens <count>', 'tokens to generate at most', count, 128)
    .option(
      '-t, --temperature <number>',
      '0 takes the likeliest token each time (default: 0, and on a terminal 0.8 with --top-p 0.95)',
      number,
    )
    .option('--top-k <count>', 'sample among the k likeliest tokens', count)
    .option('--top-p <number>', 'sample among the likeliest tokens that reach this probability', number)
    .option('--min-p <number>', 'drop tokens less likely than this share of the likeliest', number)
    .option('--typical-p <number>', 'sample among the most typical tokens that reach this probability', number)
    .option('--repetition-penalty <number>', 'divides the logits of tokens seen lately; 1 is none', number)
    .option('--presence-penalty <number>', 'taken off the logits of tokens seen lately', number)
    .option('--frequency-penalty <number>', 'the same, as often as they were seen', number)
    .option('--penalty-window <count>', 'the last so many tokens are "lately"', count)
    .option('--logit-bias <id=number...>', 'added to the logit of a token; -Infinity forbids it', bias)
    .option('--stop <text...>', 'end where one of these comes about; \\n, \\t, \\u00e9, \\\\ are understood', stop)
    .option('--stop-ids <id...>', "end at one of these tokens (default: the checkpoint's)", ids)
    .option('--seed <integer>', 'the same seed gives the same text', integer);
}

function bias(text: string, before: Record<number, number> = {}): Record<number, number> {
  const [, id, value] = /^(\d+)=(.+)$/.exec(text) ?? [];
  const added = value === '-Infinity' ? Number.NEGATIVE_INFINITY : Number(value);
  if (id === undefined || Number.isNaN(added)) throw new InvalidArgumentError('Not like 12=-1.5.');
  return { ...before, [id]: added };
}

function ids(text: string, before: readonly number[] = []): readonly number[] {
  return [...before, natural(text)];
}

function stop(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, unescapeText(text)];
}

/** Refuses an empty key, such as that of an unset variable: it would leave the server open. */
function apiKey(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('Empty. Give a key, or leave it out.');
  return text;
}

function natural(text: string): number {
  const value = integer(text);
  if (value < 0) throw new InvalidArgumentError('Not an integer of at least 0.');
  return value;
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
