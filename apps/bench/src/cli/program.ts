import { isMambaError } from '@mamba/core';
import { Command, CommanderError } from 'commander';
import { SUITES } from '../cases/index.ts';
import { KNOWN_BACKENDS } from '../machine/backends.ts';
import { styleFor } from '../report/style.ts';
import { version } from '../version.ts';
import { bench } from './bench.ts';
import type { Terminal } from './terminal.ts';

/** Runs `mamba-bench` with these arguments; gives its exit status: 0, 1 on an error, 130 where it was interrupted. */
export async function runCommand(args: readonly string[], terminal: Terminal): Promise<number> {
  let status = 0;
  const program = createProgram(terminal, (given) => {
    status = given;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return status;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    if (!isMambaError(error) && !isSystemError(error)) throw error;
    const style = styleFor(terminal.stderr, terminal.environment);
    terminal.stderr.write(`${style.red('mamba-bench:')} ${error.message}\n`);
    return 1;
  }
}

interface Flags {
  readonly backend?: readonly string[];
  readonly suite?: readonly string[];
  readonly json?: string;
  readonly quick?: true;
}

function createProgram(terminal: Terminal, finish: (status: number) => void): Command {
  const program = new Command('mamba-bench')
    .description('Measures the Mamba backends of this machine; each result is checked against the reference first.')
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
    });
  const command = (name: string, description: string, paragraph: boolean): void => {
    program
      .command(name)
      .description(description)
      .option('--backend <name...>', `only these: ${KNOWN_BACKENDS.map((known) => known.name).join(', ')}`, splitList)
      .option('--suite <name...>', `only these: ${SUITES.map((suite) => suite.name).join(', ')}`, splitList)
      .option('--json <file>', 'write the report as JSON')
      .option('--quick', 'fewer lengths and samples: some seconds instead of minutes')
      .action(async ({ backend = [], suite = [], json, quick }: Flags) => {
        finish(await bench({ backends: backend, suites: suite, json, quick: quick === true, paragraph }, terminal));
      });
  };
  command('run', 'run the suites', false);
  command('start', 'run the suites, then let a small trained model write on the fastest backend', true);
  return program;
}

/** `--suite scan,block` and `--suite scan block` alike. */
function splitList(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, ...value.split(',').filter((name) => name !== '')];
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}
