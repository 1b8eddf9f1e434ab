import { type DType, type ErrorCode, isMambaError, MAMBA_SIZES } from '@mamba/core';
import { messageWithHelp } from '@mamba/core/toolkit';
import { Command, CommanderError, Option } from 'commander';
import { SUITES } from '../cases/index.ts';
import { chooseNamed, KNOWN_BACKENDS } from '../machine/backends.ts';
import { PLACES, type Place } from '../machine/modes.ts';
import { PEERS } from '../peers/index.ts';
import { styleFor } from '../report/style.ts';
import { version } from '../version.ts';
import { parsePercent, splitCounts, splitList, splitNames } from './arguments.ts';
import { bench } from './bench.ts';
import { compareCommand } from './compare.ts';
import { addKernelsCommand } from './kernels.ts';
import { machineCommand } from './machine.ts';
import { mergeCommand } from './merge.ts';
import { installPeers, listPeers } from './peers.ts';
import { reportCommand } from './report.ts';
import { suitesThatTake } from './shapes.ts';
import { tablesCommand } from './tables.ts';
import { targetsCommand } from './targets.ts';
import type { Terminal } from './terminal.ts';
import { addVersusCommand } from './versus.ts';

/**
 * Runs `mamba-bench` with these arguments. Gives its exit status: 0; 1 where something failed or got worse; 2 where the
 * command or a file makes no sense; 130 where it was interrupted.
 */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  let status = 0;
  const program = createProgram(terminal, (given) => {
    status = given;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
    if (!isMambaError(error)) throw error;
    complaint(terminal)(messageWithHelp(error));
    return UNDOABLE.includes(error.code) ? USAGE : 1;
  }
}

const USAGE = 2;
/** Codes of errors before anything was measured or compared: a script is not to take them for a regression. */
const UNDOABLE: readonly ErrorCode[] = ['invalid-argument', 'invalid-file', 'io'];

interface Flags {
  readonly backend?: readonly string[];
  readonly suite?: readonly string[];
  readonly json?: string;
  readonly quick?: true;
  readonly thorough?: true;
  readonly length?: readonly number[];
  readonly batch?: readonly number[];
  readonly state?: readonly number[];
  readonly model?: readonly string[];
  readonly dtype?: readonly DType[];
  readonly threads?: readonly number[];
  readonly mode?: readonly Place[];
  readonly peers?: readonly string[] | true;
}

/** The suites that `start` runs by default: a minute or two. */
const BRIEF = ['scan', 'block', 'model'];
const DTYPES: readonly DType[] = ['float32', 'float16', 'bfloat16', 'q8', 'q4'];

function complaint({ stderr, environment }: Terminal): (text: string) => void {
  return (text) => void stderr.write(`${styleFor(stderr, environment).red('mamba-bench:')} ${text}\n`);
}

function createProgram(terminal: Terminal, finish: (status: number) => void): Command {
  const complain = complaint(terminal);
  const program = new Command('mamba-bench')
    .description('Measures the Mamba backends of this machine; each result is checked against the reference first.')
    .version(version)
    .exitOverride()
    .configureHelp({ helpWidth: terminal.stdout.columns ?? 80 })
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      // Errors of commander look like our own.
      outputError: (text) => complain(text.replace(/^error: /, '').trimEnd()),
    });
  const command = (name: string, description: string, paragraph: boolean): void => {
    program
      .command(name)
      .description(description)
      .option('--backend <name...>', `only these: ${KNOWN_BACKENDS.map((known) => known.name).join(', ')}`, splitList)
      .option('--suite <name...>', `only these: ${SUITES.map((suite) => suite.name).join(', ')}`, splitList)
      .option('--json <file>', 'write the report as JSON')
      .addOption(
        new Option(
          '--quick',
          'fewer and smaller shapes, few samples, no times of the reference: within a minute',
        ).conflicts('thorough'),
      )
      .option('--thorough', 'all shapes, longer sampling: an hour or more')
      .option(
        '--length <n...>',
        `of ${suitesThatTake('length')}: these lengths instead; 2^14 is a number too`,
        splitCounts,
      )
      .option('--batch <n...>', `of ${suitesThatTake('batch')}: these batches instead`, splitCounts)
      .option('--state <n...>', `of ${suitesThatTake('state')}: these numbers of states instead`, splitCounts)
      .option(
        '--model <size...>',
        `of ${suitesThatTake('models')}: ${Object.keys(MAMBA_SIZES).join(', ')}`,
        splitNames(Object.keys(MAMBA_SIZES), 'model'),
      )
      .option(
        '--dtype <type...>',
        `weights of ${suitesThatTake('dtypes')}, and of peers: ${DTYPES.join(', ')}`,
        splitNames(DTYPES, 'dtype'),
      )
      .option('--threads <n...>', 'of cpu and peers: one candidate for each of these numbers', splitCounts)
      .option(
        '--mode <name...>',
        `of cpu: ${PLACES.join(', ')}, each in a process of its own, on a Node that has it`,
        splitNames(PLACES, 'mode'),
      )
      .option(
        '--peers [name...]',
        `other projects beside ours, on the same weights: ${PEERS.map((peer) => peer.name).join(', ')}`,
        splitList,
      )
      .action(async (flags: Flags) => {
        const { backend = [], suite = [], json, quick, thorough, threads = [], mode = [] } = flags;
        const effort = quick ? 'quick' : thorough ? 'thorough' : 'standard';
        const shapes = {
          length: flags.length,
          batch: flags.batch,
          state: flags.state,
          models: flags.model,
          dtypes: flags.dtype,
        };
        const suites = suite.length === 0 && paragraph ? BRIEF : suite;
        const { peers: asked } = flags;
        const peers = asked === undefined ? [] : chooseNamed(PEERS, asked === true ? [] : asked, 'peer');
        const options = {
          backends: backend,
          suites,
          json,
          effort,
          shapes,
          threads,
          modes: mode,
          peers,
          paragraph,
        } as const;
        finish(await bench(options, terminal));
      });
  };
  command('run', 'run the suites', false);
  command('start', `run ${BRIEF.join(', ')}, then let a small trained model write on the fastest backend`, true);
  program
    .command('compare <A.json> <B.json>')
    .description('compare two reports: B over A with the spread; exits 1 where B is slower than allowed')
    .option('--regression <percent>', 'how much slower a measurement may be, beyond its spread', parsePercent, 0.1)
    .option('--json <file>', 'also write the comparison as JSON')
    .action(async (first: string, second: string, { regression, json }: { regression: number; json?: string }) => {
      finish(await compareCommand([first, second], { regression, json }, terminal));
    });
  program
    .command('targets')
    .description('the goals of @mamba/cpu in all its modes beside llama.cpp, native and in a browser: 10 to 15 minutes')
    .argument('[report.json]', 'show those of this report instead of measuring')
    .option('--json <file>', 'write the report as JSON')
    .option('--quick', 'a rehearsal with short prompts and few samples')
    .option('--markdown', 'as a table in Markdown')
    .action(async (file: string | undefined, flags: { json?: string; quick?: true; markdown?: true }) => {
      const { json, quick = false, markdown = false } = flags;
      finish(await targetsCommand({ file, json, quick, markdown }, terminal));
    });
  addVersusCommand(program, terminal, finish);
  addKernelsCommand(program, terminal, finish);
  program
    .command('merge <folder>')
    .description('merge the reports of many machines into one set, and say what was done with repeated ones')
    .option('--out <file>', 'where to write it', 'merged.json')
    .action(async (folder: string, { out }: { out: string }) => finish(await mergeCommand(folder, out, terminal)));
  program
    .command('report <file...>')
    .description('make one HTML page of reports and sets: tables and plots, no network')
    .option('--out <file>', 'where to write it', 'report.html')
    .action(async (files: string[], { out }: { out: string }) => finish(await reportCommand(files, out, terminal)));
  program
    .command('tables <folder>')
    .description('make the tables of the documents in a folder anew from its results: docs/performance')
    .option('--check', 'write nothing; exits 1 where a document is not as its results make it')
    .action((folder: string, { check }: { check?: true }) =>
      finish(tablesCommand(folder, { check: check === true }, terminal)),
    );
  const peers = program.command('peers').description('other projects to measure beside ours, from npm, on request');
  peers
    .command('install')
    .description(`install ${PEERS.map((peer) => peer.name).join(', ')} into a folder of this app, or those named`)
    .argument('[name...]')
    .action(async (names: string[]) => finish(await installPeers(names, terminal)));
  peers
    .command('list')
    .description('which there are, and whether they are installed')
    .action(async () => finish(await listPeers(terminal)));
  program
    .command('machine')
    .description('what is here: processor, SIMD, threads, adapter and its limits, measured bandwidth and peaks')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: true }) => finish(await machineCommand(json === true, terminal)));
  return program;
}
